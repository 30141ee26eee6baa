import {
  ActionIcon,
  type ActionIconProps,
  AppShell,
  Burger,
  Button,
  Group,
  Indicator,
  NavLink,
  Stack,
  Text,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { createLink, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { type ComponentPropsWithRef, useEffect } from "react";
import { cache } from "../api/cache";
import { api } from "../api/client";
import { answerTo } from "../api/problem";
import { end } from "../api/session";
import { useMe } from "../customers/queries";
import { useUnread } from "../notifications/queries";
import { StaffMenu } from "../staff/StaffMenu";
import { drop, resume } from "../transfer/payment";
import { Icon, type IconName } from "../ui/Icon";
import { Logo } from "../ui/Logo";
import { ThemeSwitch } from "../ui/ThemeSwitch";
import { Offline } from "./Offline";
import { useLive } from "./useLive";

type IconLinkProps = ActionIconProps & Omit<ComponentPropsWithRef<"a">, keyof ActionIconProps>;

const PageLink = createLink(NavLink<"a">);
const IconLink = createLink((props: IconLinkProps) => <ActionIcon component="a" {...props} />);

const PAGES: { to: string; label: string; icon: IconName }[] = [
  { to: "/dashboard", label: "Dashboard", icon: "home" },
  { to: "/transfer", label: "Send money", icon: "send" },
  { to: "/transactions", label: "Transactions", icon: "list" },
  { to: "/standing-orders", label: "Standing orders", icon: "again" },
  { to: "/batches", label: "Batches", icon: "stack" },
  { to: "/statements", label: "Statements", icon: "page" },
  { to: "/disputes", label: "Disputes", icon: "flag" },
  { to: "/limits", label: "Limits", icon: "gauge" },
  { to: "/settings", label: "Settings", icon: "gear" },
];

/** What surrounds every page of somebody who is signed in. */
export function Shell() {
  const [isOpen, { toggle, close }] = useDisclosure();
  const path = useRouterState({ select: (state) => state.location.pathname });
  const unread = useUnread();
  const me = useMe();
  useLive();
  useEffect(() => {
    if (me) resume(me.id);
  }, [me]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the menu closes when another page opens
  useEffect(close, [path]);
  return (
    <AppShell
      header={{ height: 60 }}
      navbar={{ width: 230, breakpoint: "sm", collapsed: { mobile: !isOpen } }}
      padding={{ base: "md", sm: "xl" }}
    >
      <a href="#page" className="skip">
        Skip to the page
      </a>
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger
              opened={isOpen}
              onClick={toggle}
              hiddenFrom="sm"
              size="sm"
              aria-label="Menu"
              aria-expanded={isOpen}
            />
            <Logo />
          </Group>
          <Group gap="xs" wrap="nowrap">
            <ThemeSwitch />
            <Indicator label={unread > 99 ? "99+" : unread} size={18} disabled={unread === 0} offset={6} color="red.9">
              <IconLink
                to="/notifications"
                variant="subtle"
                color="gray"
                size="lg"
                aria-label={unread > 0 ? `Notifications, ${unread} unread` : "Notifications"}
              >
                <Icon name="bell" />
              </IconLink>
            </Indicator>
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="sm" aria-label="Pages">
        <AppShell.Section grow style={{ overflowY: "auto" }}>
          {PAGES.map(({ to, label, icon }) => (
            <PageLink
              key={to}
              to={to}
              label={label}
              leftSection={<Icon name={icon} />}
              active={path.startsWith(to)}
              aria-current={path.startsWith(to) ? "page" : undefined}
              mb={4}
              style={{ borderRadius: "var(--mantine-radius-md)" }}
            />
          ))}
          <StaffMenu path={path} />
        </AppShell.Section>
        <SignedIn />
      </AppShell.Navbar>
      <AppShell.Main id="page" tabIndex={-1}>
        <Offline />
        <Outlet />
      </AppShell.Main>
    </AppShell>
  );
}

function SignedIn() {
  const me = useMe();
  const navigate = useNavigate();
  async function signOut() {
    await answerTo(api.POST("/v1/auth/browser/logout")).catch(() => {});
    end();
    drop();
    // What they have typed elsewhere.
    sessionStorage.clear();
    await navigate({ to: "/login" });
    cache.clear();
  }
  return (
    <Stack gap={4} p="xs">
      <Text fw={600} size="sm" truncate>
        {me?.full_name}
      </Text>
      <Text c="dimmed" size="xs" truncate>
        {me?.email}
      </Text>
      <Button variant="default" size="xs" mt="xs" onClick={signOut} leftSection={<Icon name="leave" size={16} />}>
        Sign out
      </Button>
    </Stack>
  );
}
