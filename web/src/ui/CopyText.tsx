import { Button, CopyButton, Group, Text } from "@mantine/core";

/** A text that people take elsewhere: a number, a key, an id. */
export function CopyText({ text, label }: { text: string; label: string }) {
  return (
    <Group gap="xs" wrap="nowrap">
      <Text size="sm" className="code">
        {text}
      </Text>
      <CopyButton value={text.replaceAll(" ", "")}>
        {({ copied, copy }) => (
          <Button
            size="compact-xs"
            variant="default"
            onClick={copy}
            aria-label={`Copy ${label}`}
            style={{ flexShrink: 0 }}
          >
            {copied ? "Copied" : "Copy"}
          </Button>
        )}
      </CopyButton>
    </Group>
  );
}
