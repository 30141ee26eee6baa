import { Alert, Loader, Text } from "@mantine/core";

/** A request has left. Nothing here says that it failed, because nobody knows that. */
export function NotKnown({ isMissing }: { isMissing: boolean }) {
  return (
    <Alert
      color={isMissing ? "yellow" : "blue"}
      icon={<Loader size={18} />}
      title={isMissing ? "Not known yet, asking again" : "Sending"}
      role="status"
      aria-live="polite"
    >
      {isMissing && (
        <Text size="sm">
          No answer has come. It is asked for with the same key, and so it is made once, however often this page asks.
        </Text>
      )}
    </Alert>
  );
}
