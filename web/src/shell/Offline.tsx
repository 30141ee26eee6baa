import { Alert } from "@mantine/core";
import { useNetwork } from "@mantine/hooks";

/** Says that what is on the screen may be old. */
export function Offline() {
  const { online } = useNetwork();
  if (online) return null;
  return (
    <Alert color="yellow" mb="md" role="status" title="You are offline">
      What you see may be old. It is read again as soon as there is a connection.
    </Alert>
  );
}
