import { Container, Group, Paper, Stack, Text, Title } from "@mantine/core";
import { type ReactNode, useEffect } from "react";
import { TextLink } from "../ui/ButtonLink";
import { Logo } from "../ui/Logo";
import { ThemeSwitch } from "../ui/ThemeSwitch";

/** What surrounds the pages of somebody who is not signed in. */
export function EntryCard({ title, says, children }: { title: string; says: string; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Remit`;
  }, [title]);
  return (
    <Container component="main" size={460} py={{ base: "md", sm: "4rem" }}>
      <Group justify="space-between" mb="lg">
        <TextLink to="/" c="inherit" underline="never" aria-label="Remit, the first page">
          <Logo />
        </TextLink>
        <ThemeSwitch />
      </Group>
      <Paper withBorder p={{ base: "md", sm: "xl" }} radius="lg">
        <Stack gap={4} mb="lg">
          <Title order={1} size="h2">
            {title}
          </Title>
          <Text c="dimmed">{says}</Text>
        </Stack>
        {children}
      </Paper>
    </Container>
  );
}
