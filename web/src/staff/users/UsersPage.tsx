import { Badge, Checkbox, Group, Paper, Stack, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import type { Schemas } from "../../api/client";
import { Money } from "../../money/Money";
import { TextLink } from "../../ui/ButtonLink";
import { ListOf } from "../../ui/ListOf";
import { PageTitle } from "../../ui/PageTitle";
import { Choice, FilterBar } from "../FilterBar";
import { ACCOUNTS, ROLES, type UserFilters, userFilters, VERIFICATIONS } from "./filters";
import { usersQuery } from "./queries";
import { UserBadges } from "./UserBadges";

const route = getRouteApi("/customers/staff/users");

const TYPED_MS = 400;

export function UsersPage() {
  const filters = userFilters(route.useSearch());
  const navigate = route.useNavigate();
  const [email, setEmail] = useState("");
  const [beginning] = useDebouncedValue(email.trim(), TYPED_MS);
  const filter = (changed: { [Name in keyof UserFilters]: unknown }) =>
    navigate({ search: userFilters({ ...filters, ...changed }), replace: true });
  return (
    <>
      <PageTitle title="Users" says="Everybody with an account, and staff. Whom you read is on record." />
      <FilterBar
        isFiltered={Object.keys(filters).length > 0 || email !== ""}
        clear={() => {
          setEmail("");
          navigate({ search: {}, replace: true });
        }}
      >
        <TextInput
          label="E-mail address"
          placeholder="Its beginning"
          type="search"
          value={email}
          onChange={(event) => setEmail(event.currentTarget.value)}
        />
        <Choice label="Role" names={ROLES} value={filters.role} set={(role) => filter({ role })} />
        <Choice
          label="Identity"
          names={VERIFICATIONS}
          value={filters.verification}
          set={(verification) => filter({ verification })}
        />
        <Choice label="Account" names={ACCOUNTS} value={filters.account} set={(account) => filter({ account })} />
        <Checkbox
          label="Disabled"
          pb={8}
          checked={filters.disabled ?? false}
          onChange={(event) => filter({ disabled: event.currentTarget.checked })}
        />
      </FilterBar>
      <ListOf query={usersQuery(beginning, filters)} nothing="Nobody is like this." label="Users">
        {(user) => <UserRow key={user.id} user={user} />}
      </ListOf>
    </>
  );
}

function UserRow({ user }: { user: Schemas["ListedCustomerOut"] }) {
  return (
    <Paper withBorder p="sm" component="li">
      <Group justify="space-between" gap="xs" align="flex-start">
        <Stack gap={2} miw={0}>
          <TextLink to="/staff/users/$customerId" params={{ customerId: user.id }} fw={600}>
            {user.full_name}
          </TextLink>
          <Text size="sm" c="dimmed" style={{ overflowWrap: "anywhere" }}>
            {user.email}
          </Text>
          <UserBadges user={user} />
        </Stack>
        <Stack gap={2} className="at-end">
          {user.accounts.map((account) => (
            <Group key={account.id} gap="xs">
              {account.status !== "active" && (
                <Badge variant="light" color={account.status === "frozen" ? "red" : "gray"}>
                  {ACCOUNTS[account.status]}
                </Badge>
              )}
              <Money minor={account.balance} code={account.currency} />
            </Group>
          ))}
        </Stack>
      </Group>
    </Paper>
  );
}
