import { Button, Group } from "@mantine/core";
import type { Schemas } from "../api/client";
import { renewIfDue, signedOut } from "../api/session";
import { FORMATS } from "./queries";

/** A file of the API, streamed to the disk. The session is renewed before, because a download cannot ask again. */
async function download(path: string): Promise<void> {
  if (!(await renewIfDue())) return signedOut();
  const link = document.createElement("a");
  link.href = path;
  link.download = "";
  link.click();
}

/** The files of a statement. `path`: its address without an ending. */
export function Downloads({ path, number }: { path: string; number: number }) {
  return (
    <Group gap={6}>
      {(Object.keys(FORMATS) as Schemas["StatementFormat"][]).map((format) => (
        <Button
          key={format}
          size="compact-sm"
          variant="default"
          aria-label={`${FORMATS[format]} of statement ${number}`}
          onClick={() => download(`${path}.${format}`)}
        >
          {FORMATS[format]}
        </Button>
      ))}
    </Group>
  );
}
