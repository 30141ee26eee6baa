import { Group, Paper, Stack, Text } from "@mantine/core";
import { api, type Schemas } from "../../api/client";
import { answerTo } from "../../api/problem";
import { useMe } from "../../customers/queries";
import { TextLink } from "../../ui/ButtonLink";
import { ListOf } from "../../ui/ListOf";
import { AGAIN_MS, listQuery, PAGE } from "../../ui/listQuery";
import { PageTitle } from "../../ui/PageTitle";
import { When } from "../../ui/When";
import { ActButton } from "../ActButton";
import { CustomerLink } from "../Names";
import { useMay } from "../useMay";
import { ROLES } from "../users/filters";
import { USERS } from "../users/queries";

type RoleRequest = Schemas["RoleRequestOut"];

const waitingQuery = listQuery(
  ["role-requests"],
  (cursor) => answerTo(api.GET("/v1/admin/role-requests", { params: { query: { limit: PAGE, cursor } } })),
  AGAIN_MS,
);

const READS = ["role-requests", ...USERS];

export function RoleRequestsPage() {
  return (
    <>
      <PageTitle
        title="Role requests"
        says="Roles that one admin has requested, and that another admin must give, too."
      />
      <ListOf query={waitingQuery} nothing="No role waits for a second admin." label="Role requests">
        {(request) => <RequestRow key={request.id} request={request} />}
      </ListOf>
    </>
  );
}

function RequestRow({ request }: { request: RoleRequest }) {
  const may = useMay();
  const me = useMe();
  const isMine = me?.id === request.requested_by;
  return (
    <Paper withBorder p="sm" component="li">
      <Group justify="space-between" gap="sm" align="flex-start">
        <Stack gap={2} style={{ flex: "1 1 16rem" }}>
          <Text fw={600} component="div">
            {ROLES[request.requested_role]} for{" "}
            <TextLink to="/staff/users/$customerId" params={{ customerId: request.customer_id }}>
              {request.full_name}
            </TextLink>
          </Text>
          <Text size="sm" component="div">
            {ROLES[request.role]} now. Requested by {isMine ? "you" : <CustomerLink id={request.requested_by} />},{" "}
            <When at={request.requested_at} size="sm" exact />
          </Text>
          <Text size="sm" c="dimmed">
            “{request.reason}”
          </Text>
        </Stack>
        {may("grant_role") && me?.id !== request.customer_id && <Decide request={request} isMine={isMine} />}
      </Group>
    </Paper>
  );
}

function Decide({ request, isMine }: { request: RoleRequest; isMine: boolean }) {
  const role = ROLES[request.requested_role].toLowerCase();
  return (
    <Group gap="xs">
      {!isMine && (
        <ActButton
          label="Approve"
          isFirst
          title={`Make ${request.full_name} ${role}?`}
          says="The role applies from their next request. Both of you stand in the record."
          confirm="Give the role"
          send={(reason, key) =>
            answerTo(
              api.POST("/v1/admin/customers/{customer_id}/role", {
                params: { path: { customer_id: request.customer_id }, header: { "Idempotency-Key": key } },
                body: { role: request.requested_role, reason },
              }),
            )
          }
          effect={(customer) =>
            customer.role === request.requested_role
              ? `${customer.full_name} is ${role} now.`
              : "The request had ended. Yours waits for another admin now."
          }
          reads={READS}
        />
      )}
      <ActButton
        label={isMine ? "Withdraw" : "Reject"}
        title={isMine ? "Withdraw your request?" : "Reject this request?"}
        says="The role stays as it is. Whoever wants it after all requests it anew."
        isHard
        send={(reason, key) =>
          answerTo(
            api.POST("/v1/admin/role-requests/{role_request_id}/reject", {
              params: { path: { role_request_id: request.id }, header: { "Idempotency-Key": key } },
              body: { reason },
            }),
          )
        }
        effect={() => "The request has ended."}
        reads={READS}
      />
    </Group>
  );
}
