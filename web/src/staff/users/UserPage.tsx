import { Group, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { TextLink } from "../../ui/ButtonLink";
import { CopyText } from "../../ui/CopyText";
import { Facts } from "../../ui/Facts";
import { ListOf } from "../../ui/ListOf";
import { PageTitle } from "../../ui/PageTitle";
import { Section } from "../../ui/Section";
import { Nothing, Shown } from "../../ui/Shown";
import { When } from "../../ui/When";
import { ActionRow } from "../audit/ActionRow";
import { AccountCard } from "./AccountCard";
import { ROLES, VERIFICATIONS } from "./filters";
import { actionsOn, type CustomerFile, userQuery } from "./queries";
import { StandingOrders } from "./StandingOrders";
import { UserActs } from "./UserActs";
import { UserBadges } from "./UserBadges";

const route = getRouteApi("/customers/staff/users/$customerId");

export function UserPage() {
  const { customerId } = route.useParams();
  const user = useQuery(userQuery(customerId));
  return (
    <>
      <TextLink to="/staff/users" size="sm">
        All users
      </TextLink>
      <PageTitle title={user.data?.full_name ?? "User"} says="Who somebody is, what they have, and what they may do." />
      <Shown query={user} rows={6}>
        {(found) => <User user={found} />}
      </Shown>
    </>
  );
}

function User({ user }: { user: CustomerFile }) {
  const verification = user.verification;
  return (
    <Stack gap="lg">
      <Section title="Person" action={<UserBadges user={user} />}>
        <Facts
          facts={[
            ["Address", user.email],
            ["Role", ROLES[user.role]],
            ["Registered", <When key="at" at={user.created_at} exact />],
            ["Identity", verification && VERIFICATIONS[verification.state]],
            ["Document", verification && `${verification.document_type} …${verification.number_ends_with}`],
            ["Rejected", verification?.code && `${verification.code}: ${verification.reason ?? ""}`],
            ["Disabled", user.disabled_at && <When key="disabled" at={user.disabled_at} exact />],
            ["Number", <CopyText key="id" text={user.id} label="the user's number" />],
          ]}
        />
        <Group gap="xs" mt="md">
          <UserActs user={user} />
        </Group>
      </Section>
      <Section
        title="Accounts"
        action={
          <TextLink to="/staff/transactions" search={{ owner: user.id }} size="sm">
            What they requested
          </TextLink>
        }
      >
        {user.accounts.length === 0 && <Nothing says="No account." />}
        <Stack gap="xl">
          {user.accounts.map((account) => (
            <AccountCard key={account.id} account={account} />
          ))}
        </Stack>
      </Section>
      <StandingOrders ownerId={user.id} />
      <Section title="What staff did" says="With this person. What was done with an account stands on its page.">
        <ListOf query={actionsOn(user.id)} nothing="Nothing was done." label="Actions">
          {(action) => <ActionRow key={action.id} action={action} />}
        </ListOf>
        <Text size="sm" mt="sm">
          <TextLink to="/staff/audit" search={{ subject: user.id }} size="sm">
            All records about them
          </TextLink>
        </Text>
      </Section>
    </Stack>
  );
}
