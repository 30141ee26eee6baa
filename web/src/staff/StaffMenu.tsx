import { NavLink, Text } from "@mantine/core";
import { createLink } from "@tanstack/react-router";
import { useMe } from "../customers/queries";
import { STAFF_PAGES } from "./pages";
import { isStaff } from "./permissions";

const PageLink = createLink(NavLink<"a">);

/** The pages of staff in the menu. Customers do not see them. */
export function StaffMenu({ path }: { path: string }) {
  const me = useMe();
  if (!isStaff(me?.role)) return null;
  return (
    <>
      <Text size="sm" c="dimmed" px="sm" pt="md" pb={4}>
        Staff
      </Text>
      {STAFF_PAGES.map(({ to, label }) => {
        const isHere = to === "/staff" ? path === to : path.startsWith(to);
        return (
          <PageLink
            key={to}
            to={to}
            label={label}
            py={3}
            activeOptions={{ exact: to === "/staff" }}
            active={isHere}
            aria-current={isHere ? "page" : undefined}
            style={{ borderRadius: "var(--mantine-radius-md)" }}
          />
        );
      })}
    </>
  );
}
