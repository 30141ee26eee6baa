import { Badge, Button, Group, NativeSelect, Progress, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { type Account, accountsQuery, grouped } from "../accounts/queries";
import { cache } from "../api/cache";
import { api, type Schemas } from "../api/client";
import { answerTo, fieldErrors } from "../api/problem";
import { useKeyed } from "../api/useOnce";
import { DOCUMENT_TYPES, type DocumentType } from "../customers/documents";
import { Money } from "../money/Money";
import { FormProblem } from "../ui/FormProblem";
import { ListOf } from "../ui/ListOf";
import { PageTitle } from "../ui/PageTitle";
import { Section } from "../ui/Section";
import { Nothing, Shown } from "../ui/Shown";
import { When } from "../ui/When";
import { LIMITS, type Limits, limitsQuery, REQUESTS, type TierRequest, tierRequestsQuery } from "./queries";

export function LimitsPage() {
  const accounts = useQuery(accountsQuery);
  return (
    <>
      <PageTitle title="Limits" says="How much you may send and hold now, and how to get more." />
      <Shown query={accounts} rows={5}>
        {(found) => {
          const open = found.filter(({ status }) => status !== "closed");
          if (open.length === 0) return <Nothing says="You have no open account." />;
          return (
            <Stack gap="xl">
              {open.map((account) => (
                <AccountLimits key={account.id} account={account} />
              ))}
            </Stack>
          );
        }}
      </Shown>
    </>
  );
}

function AccountLimits({ account }: { account: Account }) {
  const limits = useQuery(limitsQuery(account.id));
  const name = account.name ?? `${account.currency} account`;
  return (
    <Stack gap="md">
      <Section
        title={`${name}: tier ${account.tier}`}
        says={grouped(account.number)}
        action={<Badge variant="light">Tier {account.tier}</Badge>}
      >
        <Shown query={limits} rows={2}>
          {(found) => (
            <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="lg">
              {(Object.keys(LIMITS) as (keyof typeof LIMITS)[]).map((limit) => (
                <Limit key={limit} title={LIMITS[limit]} limit={found[limit]} code={found.currency} />
              ))}
            </SimpleGrid>
          )}
        </Shown>
      </Section>
      <AskForMore account={account} name={name} />
      <Section title={`Requests for ${name}`} says="Newest first.">
        <ListOf query={tierRequestsQuery(account.id)} nothing="You have asked for no other tier." label="Requests">
          {(request) => <RequestRow key={request.id} request={request} />}
        </ListOf>
      </Section>
    </Stack>
  );
}

function Limit({ title, limit, code }: { title: string; limit: Limits["daily_total"]; code: string }) {
  return (
    <Stack gap={4}>
      <Text size="sm" c="dimmed">
        {title}
      </Text>
      {limit.limit === null ? (
        <Text fw={600}>No limit</Text>
      ) : (
        <>
          <Text fw={600} component="div">
            <Money minor={limit.limit} code={code} fw={600} />
            {limit.left !== null && limit.used > 0 && (
              <Text span size="sm" c="dimmed">
                , <Money minor={limit.left} code={code} size="sm" /> left
              </Text>
            )}
          </Text>
          {limit.left !== null && limit.used > 0 && (
            <Progress value={(100 * limit.used) / limit.limit} size="sm" aria-hidden="true" />
          )}
          {limit.resets_at && (
            <Text size="sm" c="dimmed">
              Begins anew <When at={limit.resets_at} size="sm" />
            </Text>
          )}
        </>
      )}
    </Stack>
  );
}

const HIGHEST_TIER = 9;

function AskForMore({ account, name }: { account: Account; name: string }) {
  const form = useForm({ initialValues: { tier: String(account.tier + 1), type: "BVN" as DocumentType, number: "" } });
  const ask = useKeyed(
    (body: Schemas["TierRequestIn"], key) =>
      answerTo(
        api.POST("/v1/accounts/{account_id}/tier-requests", {
          params: { path: { account_id: account.id }, header: { "Idempotency-Key": key } },
          body,
        }),
      ),
    () => {
      form.reset();
      for (const key of ["tier-requests", "accounts", "limits"]) cache.invalidateQueries({ queryKey: [key] });
    },
  );
  if (account.tier >= HIGHEST_TIER) return null;
  const errors = fieldErrors(ask.error, ["tier", "type", "number"]);
  const tiers = Array.from({ length: HIGHEST_TIER - account.tier }, (_, above) => String(account.tier + above + 1));
  return (
    <Section title={`A higher tier for ${name}`} says="Show another document. It is checked, by a person if need be.">
      <form
        onSubmit={form.onSubmit(({ tier, type, number }) =>
          ask.mutate({ tier: Number(tier), document: { type, number: number.trim() } }),
        )}
        noValidate
      >
        <Stack maw={560}>
          <SimpleGrid cols={{ base: 1, xs: 2 }}>
            <NativeSelect label="Tier" data={tiers} {...form.getInputProps("tier")} error={errors.tier} />
            <NativeSelect label="Document" data={DOCUMENT_TYPES} {...form.getInputProps("type")} error={errors.type} />
          </SimpleGrid>
          <TextInput
            label="Its number"
            description="It is kept encrypted."
            autoComplete="off"
            required
            {...form.getInputProps("number")}
            error={errors.number}
          />
          <FormProblem error={ask.error} shown={Object.keys(errors)} />
          <Group>
            <Button type="submit" loading={ask.isPending} disabled={form.values.number.trim() === ""}>
              Ask for tier {form.values.tier}
            </Button>
          </Group>
        </Stack>
      </form>
    </Section>
  );
}

function RequestRow({ request }: { request: TierRequest }) {
  const { label, color } = REQUESTS[request.state];
  return (
    <Group component="li" justify="space-between" gap="xs" align="flex-start">
      <Stack gap={2}>
        <Text fw={550}>Tier {request.tier}</Text>
        <Text size="sm" c="dimmed">
          with a document that ends with {request.document.last_characters}, asked{" "}
          <When at={request.created_at} size="sm" />
        </Text>
        {request.closed_reason && <Text size="sm">{request.closed_reason}</Text>}
        {request.state === "open" && (
          <Text size="sm">
            You get a message when it is decided, <When at={request.deadline} size="sm" /> at the latest.
          </Text>
        )}
      </Stack>
      <Badge variant="light" color={color}>
        {label}
      </Badge>
    </Group>
  );
}
