import { Group, Stack, Text, Title } from "@mantine/core";
import { type ReactNode, useEffect } from "react";

/** The heading of a page, which also names its tab. `says`: what the page is for, in one line. */
export function PageTitle({ title, says, children }: { title: string; says?: string; children?: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Remit`;
  }, [title]);
  return (
    <Group justify="space-between" align="flex-start" mb="lg" gap="sm">
      <Stack gap={2}>
        <Title order={1} size="h2">
          {title}
        </Title>
        {says && <Text c="dimmed">{says}</Text>}
      </Stack>
      {children}
    </Group>
  );
}
