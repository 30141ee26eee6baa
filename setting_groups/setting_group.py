"""What every group of settings is built on."""

from pydantic import BaseModel, ConfigDict


class SettingGroup(BaseModel):
    """Some fields of `Settings`. Nobody makes a group alone, so no time goes into its validator."""

    model_config = ConfigDict(defer_build=True)
