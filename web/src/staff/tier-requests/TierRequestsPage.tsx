import { Badge, Group, Paper, Stack, Text } from "@mantine/core";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { api, type Schemas } from "../../api/client";
import { answerTo } from "../../api/problem";
import { useMe } from "../../customers/queries";
import { REQUESTS } from "../../limits/queries";
import { ListOf } from "../../ui/ListOf";
import { AGAIN_MS, listQuery, PAGE } from "../../ui/listQuery";
import { PageTitle } from "../../ui/PageTitle";
import { When } from "../../ui/When";
import { ActButton } from "../ActButton";
import { Choice, FilterBar } from "../FilterBar";
import { AccountLink, CustomerLink } from "../Names";
import { STATES, tierFilters } from "./filters";

const route = getRouteApi("/customers/staff/tier-requests");

type AnyTierRequest = Schemas["TierRequestFileOut"];

const tierRequestsQuery = (state: AnyTierRequest["state"] | undefined) =>
  listQuery(
    ["all-tier-requests", state],
    (cursor) => answerTo(api.GET("/v1/admin/tier-requests", { params: { query: { state, limit: PAGE, cursor } } })),
    AGAIN_MS,
  );

const tierRequestQuery = (requestId: string) =>
  queryOptions({
    queryKey: ["tier-request", requestId],
    queryFn: () =>
      answerTo(api.GET("/v1/admin/tier-requests/{request_id}", { params: { path: { request_id: requestId } } })),
  });

const READS = ["all-tier-requests", "tier-request", "account", "user", "limits"];

export function TierRequestsPage() {
  const { state } = tierFilters(route.useSearch());
  const navigate = route.useNavigate();
  return (
    <>
      <PageTitle title="Tier requests" says="Customers who want to send and hold more, and the document they show." />
      <FilterBar isFiltered={state !== undefined} clear={() => navigate({ search: {}, replace: true })}>
        <Choice
          label="State"
          names={STATES}
          value={state}
          set={(chosen) => navigate({ search: tierFilters({ state: chosen }), replace: true })}
        />
      </FilterBar>
      <ListOf query={tierRequestsQuery(state)} nothing="There is no request like this." label="Tier requests">
        {(request) => <RequestRow key={request.id} request={request} />}
      </ListOf>
    </>
  );
}

function RequestRow({ request }: { request: AnyTierRequest }) {
  const me = useMe();
  const isOpen = request.state === "open";
  return (
    <Paper withBorder p="sm" component="li">
      <Stack gap="xs">
        <Group justify="space-between" gap="sm" align="flex-start">
          <Stack gap={2}>
            <Text fw={600} component="div">
              Tier {request.tier} for <AccountLink id={request.account_id} />
            </Text>
            <Text size="sm" component="div">
              of <CustomerLink id={request.customer_id} />, with a {request.document.type} that ends with{" "}
              <span className="code">{request.document.last_characters}</span>
            </Text>
            <Text size="sm" c="dimmed">
              asked <When at={request.created_at} size="sm" exact />
              {isOpen && (
                <>
                  , expires <When at={request.deadline} size="sm" exact />
                </>
              )}
            </Text>
            {request.closed_reason && <Text size="sm">{request.closed_reason}</Text>}
          </Stack>
          <Group gap="xs">
            <Badge variant="light" color={REQUESTS[request.state].color}>
              {STATES[request.state]}
            </Badge>
            {isOpen && me?.id !== request.customer_id && <Decide request={request} />}
          </Group>
        </Group>
        {isOpen && <Eyes request={request} />}
      </Stack>
    </Paper>
  );
}

/** How many people must approve it, and who has decided. */
function Eyes({ request }: { request: AnyTierRequest }) {
  const decisions = useQuery(tierRequestQuery(request.id)).data?.decisions ?? [];
  return (
    <Group gap="xs">
      <Badge variant="light" color={request.approvals > 1 ? "indigo" : "gray"}>
        {request.approvals > 1 ? `Four eyes: ${request.approvals} people must approve` : "One person approves"}
      </Badge>
      {decisions.map(({ decided_by, ruling, reason }) => (
        <Text size="sm" key={decided_by} component="div">
          {ruling} by <CustomerLink id={decided_by} />: {reason}
        </Text>
      ))}
    </Group>
  );
}

function Decide({ request }: { request: AnyTierRequest }) {
  const decide = (ruling: Schemas["TierRuling"]) => (reason: string, key: string) =>
    answerTo(
      api.POST("/v1/admin/tier-requests/{request_id}/decisions", {
        params: { path: { request_id: request.id }, header: { "Idempotency-Key": key } },
        body: { ruling, reason },
      }),
    );
  return (
    <>
      <ActButton
        label="Approve"
        isFirst
        title={`Approve tier ${request.tier}?`}
        says="With enough approvals the account has the tier at once. Your decision is final."
        send={decide("approve")}
        effect={({ state }) =>
          state === "open" ? "Recorded. Another person must approve it, too." : "It has the tier."
        }
        reads={READS}
      />
      <ActButton
        label="Reject"
        title="Reject this request?"
        says="It ends, and the customer is told. Your decision is final."
        isHard
        send={decide("reject")}
        effect={() => "The request is rejected."}
        reads={READS}
      />
    </>
  );
}
