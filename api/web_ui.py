"""Links into Temporal's Web UI, for answers to operators."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class WebUi:
    """Where the Web UI is; `url` None: not known, and no links."""

    url: str | None
    namespace: str

    def workflow(self, workflow_id: str) -> str | None:
        """The newest run of this workflow. Without a run's id, the Web UI finds it by itself and goes on to it."""
        if self.url is None:
            return None
        return f"{self.url.rstrip('/')}/namespaces/{quote(self.namespace)}/workflows/{quote(workflow_id, safe='')}"
