import { Button, type ButtonProps, Group } from "@mantine/core";
import { useState } from "react";

type ConfirmButtonProps = ButtonProps & { label: string; confirm: string; act: () => void; "aria-label"?: string };

/** A button for what cannot be taken back: the first click asks, and another one does it. */
export function ConfirmButton({ label, confirm, act, "aria-label": named, ...button }: ConfirmButtonProps) {
  const [asks, setAsks] = useState(false);
  if (!asks)
    return (
      <Button variant="default" size="xs" {...button} aria-label={named} onClick={() => setAsks(true)}>
        {label}
      </Button>
    );
  return (
    <Group gap="xs">
      <Button
        color="red.9"
        size="xs"
        {...button}
        autoFocus
        onClick={() => {
          setAsks(false);
          act();
        }}
      >
        {confirm}
      </Button>
      <Button variant="subtle" size="xs" onClick={() => setAsks(false)}>
        Keep it
      </Button>
    </Group>
  );
}
