import { Badge, Group, NativeSelect, Paper, Stack, Text } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { api, type Schemas } from "../../api/client";
import { answerTo } from "../../api/problem";
import { DOCUMENT_TYPES } from "../../customers/documents";
import { useMe } from "../../customers/queries";
import { ListOf } from "../../ui/ListOf";
import { AGAIN_MS, listQuery, PAGE } from "../../ui/listQuery";
import { PageTitle } from "../../ui/PageTitle";
import { When } from "../../ui/When";
import { ActButton } from "../ActButton";
import { Choice, FilterBar } from "../FilterBar";
import { CustomerLink } from "../Names";
import { asOptions } from "../search";
import { VERIFICATIONS } from "../users/filters";
import { documentFilters } from "./filters";

const route = getRouteApi("/customers/staff/documents");

type IdentityDocument = Schemas["DocumentOut"];

const COLORS: Record<IdentityDocument["state"], string> = {
  pending: "blue",
  in_review: "yellow",
  verified: "green",
  rejected: "red",
};

const CODES: Record<Schemas["RejectionCode"], string> = {
  number_unknown: "Nobody has this number",
  name_mismatch: "It names somebody else",
  document_expired: "It has expired",
  document_refused: "It is not accepted",
};

const documentsQuery = (state: IdentityDocument["state"] | undefined) =>
  listQuery(
    ["documents", state],
    (cursor) => answerTo(api.GET("/v1/admin/documents", { params: { query: { state, limit: PAGE, cursor } } })),
    AGAIN_MS,
  );

const READS = ["documents", "users", "user"];

export function DocumentsPage() {
  const { state } = documentFilters(route.useSearch());
  const navigate = route.useNavigate();
  return (
    <>
      <PageTitle
        title="Documents"
        says="What customers show of who they are. Until it is verified, no money leaves their accounts."
      />
      <FilterBar isFiltered={state !== undefined} clear={() => navigate({ search: {}, replace: true })}>
        <Choice
          label="State"
          names={VERIFICATIONS}
          value={state}
          set={(chosen) => navigate({ search: documentFilters({ state: chosen }), replace: true })}
        />
      </FilterBar>
      <ListOf query={documentsQuery(state)} nothing="There is no document like this." label="Documents">
        {(document) => <DocumentRow key={document.id} document={document} />}
      </ListOf>
    </>
  );
}

function DocumentRow({ document }: { document: IdentityDocument }) {
  const me = useMe();
  const waits = document.state === "pending" || document.state === "in_review";
  return (
    <Paper withBorder p="sm" component="li">
      <Group justify="space-between" gap="sm" align="flex-start">
        <Stack gap={2}>
          <Text fw={600}>{DOCUMENT_TYPES.find(({ value }) => value === document.type)?.label ?? document.type}</Text>
          <Text size="sm" component="div">
            of <CustomerLink id={document.customer_id} />, ends with{" "}
            <span className="code">{document.number_ends_with}</span>
          </Text>
          <Text size="sm" c="dimmed">
            sent <When at={document.submitted_at} size="sm" exact />
            {document.decided_at && (
              <>
                , decided <When at={document.decided_at} size="sm" exact />
              </>
            )}
          </Text>
          {document.code && (
            <Text size="sm">
              {CODES[document.code]}
              {document.reason && `: ${document.reason}`}
            </Text>
          )}
        </Stack>
        <Group gap="xs">
          <Badge variant="light" color={COLORS[document.state]}>
            {VERIFICATIONS[document.state]}
          </Badge>
          {waits && me?.id !== document.customer_id && <DocumentActs document={document} />}
        </Group>
      </Group>
    </Paper>
  );
}

function DocumentActs({ document }: { document: IdentityDocument }) {
  const [code, setCode] = useState<Schemas["RejectionCode"]>("name_mismatch");
  const decide = (decision: Schemas["DocumentDecisionIn"]["decision"]) => (reason: string, key: string) =>
    answerTo(
      api.POST("/v1/admin/documents/{document_id}/decisions", {
        params: { path: { document_id: document.id }, header: { "Idempotency-Key": key } },
        body: { decision, reason, code: decision === "reject" ? code : null },
      }),
    );
  return (
    <>
      <ActButton
        label="Verify"
        isFirst
        title="Is this document right?"
        says="Money may leave the customer's accounts from the answer on."
        confirm="Verify it"
        send={decide("verify")}
        effect={() => "The document is verified."}
        reads={READS}
      />
      <ActButton
        label="Reject"
        title="Reject this document?"
        says="The customer reads why, in the words that you choose, and may send another one."
        confirm="Reject it"
        isHard
        send={decide("reject")}
        effect={() => "The document is rejected."}
        reads={READS}
      >
        <NativeSelect
          label="What the customer reads"
          data={asOptions(CODES)}
          value={code}
          onChange={(event) => setCode(event.currentTarget.value as Schemas["RejectionCode"])}
        />
      </ActButton>
    </>
  );
}
