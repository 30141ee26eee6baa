"""Links to Temporal's Web UI, for answers to staff."""

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class WebUi:
    """The address of the Web UI. Without `url` there are no links."""

    url: str | None
    namespace: str

    def workflow(self, workflow_id: str) -> str | None:
        """The link to a workflow's newest run: without a run id in the link, the Web UI finds that run itself."""
        if self.url is None:
            return None
        return f"{self.url.rstrip('/')}/namespaces/{quote(self.namespace)}/workflows/{quote(workflow_id, safe='')}"
