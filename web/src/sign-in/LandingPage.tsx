import { Container, Group, Paper, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { useEffect } from "react";
import { ButtonLink } from "../ui/ButtonLink";
import { Icon, type IconName } from "../ui/Icon";
import { Logo } from "../ui/Logo";
import { ThemeSwitch } from "../ui/ThemeSwitch";

const PROMISES: { icon: IconName; title: string; says: string }[] = [
  {
    icon: "send",
    title: "Sent once",
    says: "Click twice, reload, lose your connection: one payment stays one payment.",
  },
  { icon: "list", title: "Always somewhere", says: "Your money is with you, on its way, or there. You see which." },
  { icon: "bell", title: "Told at once", says: "Balances and messages change on the screen as they happen." },
];

export function LandingPage() {
  useEffect(() => {
    document.title = "Remit";
  }, []);
  return (
    <>
      <Container component="header" size="lg" py="md">
        <Group justify="space-between">
          <Logo />
          <Group gap="xs">
            <ThemeSwitch />
            <ButtonLink to="/login" variant="default">
              Sign in
            </ButtonLink>
          </Group>
        </Group>
      </Container>
      <Container component="main" size="lg" py={{ base: "xl", sm: "5rem" }}>
        <Stack gap="xl">
          <Stack gap="md" maw={760}>
            <Title order={1} fz={{ base: "2rem", sm: "3rem" }} lh={1.15} style={{ textWrap: "balance" }}>
              Send money, and always know where it is.
            </Title>
            <Text size="lg" c="dimmed">
              Remit moves money between accounts. If anything fails on the way, it comes back to you.
            </Text>
            <Group>
              <ButtonLink to="/register" size="md">
                Open an account
              </ButtonLink>
              <ButtonLink to="/login" size="md" variant="default">
                Sign in
              </ButtonLink>
            </Group>
          </Stack>
          <SimpleGrid cols={{ base: 1, sm: 3 }}>
            {PROMISES.map(({ icon, title, says }) => (
              <Paper key={title} withBorder p="lg">
                <Group gap="xs" mb="xs">
                  <Icon name={icon} />
                  <Title order={2} size="h4">
                    {title}
                  </Title>
                </Group>
                <Text c="dimmed">{says}</Text>
              </Paper>
            ))}
          </SimpleGrid>
        </Stack>
      </Container>
    </>
  );
}
