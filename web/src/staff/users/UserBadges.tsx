import { Badge, Group } from "@mantine/core";
import type { Schemas } from "../../api/client";
import { ROLES, VERIFICATIONS } from "./filters";

type Badged = Pick<Schemas["ListedCustomerOut"], "role" | "verification" | "disabled_at" | "email_verified">;

/** What is special about somebody: their role, and what they may not do. */
export function UserBadges({ user }: { user: Badged }) {
  const state = user.verification?.state;
  return (
    <Group gap={6}>
      {user.role !== "customer" && (
        <Badge variant="light" color="indigo">
          {ROLES[user.role]}
        </Badge>
      )}
      {user.disabled_at && (
        <Badge variant="light" color="red">
          Disabled
        </Badge>
      )}
      {state && state !== "verified" && (
        <Badge variant="light" color={state === "rejected" ? "red" : "yellow"}>
          Identity: {VERIFICATIONS[state]}
        </Badge>
      )}
      {!user.email_verified && (
        <Badge variant="light" color="gray">
          Address not verified
        </Badge>
      )}
    </Group>
  );
}
