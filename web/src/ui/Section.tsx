import { Group, Paper, Stack, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";

type SectionProps = { title: string; says?: string; action?: ReactNode; children: ReactNode };

/** A part of a page with its heading. `says`: what it is for, in one line. */
export function Section({ title, says, action, children }: SectionProps) {
  return (
    <Paper withBorder p={{ base: "md", sm: "lg" }} component="section" aria-label={title}>
      <Group justify="space-between" align="flex-start" mb="md" gap="sm" wrap="nowrap">
        <Stack gap={2}>
          <Title order={2} size="h4">
            {title}
          </Title>
          {says && (
            <Text size="sm" c="dimmed">
              {says}
            </Text>
          )}
        </Stack>
        <div style={{ flexShrink: 0 }}>{action}</div>
      </Group>
      {children}
    </Paper>
  );
}
