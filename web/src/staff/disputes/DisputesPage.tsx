import { Badge, Button, Group, Paper, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Money } from "../../money/Money";
import { ListOf } from "../../ui/ListOf";
import { PageTitle } from "../../ui/PageTitle";
import { Shown } from "../../ui/Shown";
import { When } from "../../ui/When";
import { Choice, FilterBar } from "../FilterBar";
import { CustomerLink, TransferLink } from "../Names";
import { transferFileQuery } from "../transactions/queries";
import { DisputeActs } from "./DisputeActs";
import { DISPUTES, disputeFilters } from "./filters";
import { type Dispute, disputeQuery, disputesQuery } from "./queries";

const route = getRouteApi("/customers/staff/disputes");

const COLORS: Record<Dispute["state"], string> = {
  open: "yellow",
  reversing: "blue",
  reversed: "green",
  reversal_failed: "red",
  rejected: "gray",
  expired: "gray",
};

export function DisputesPage() {
  const { state } = disputeFilters(route.useSearch());
  const navigate = route.useNavigate();
  return (
    <>
      <PageTitle title="Disputes" says="A payer objects to a payment: read both sides, then reverse it or reject." />
      <FilterBar isFiltered={state !== undefined} clear={() => navigate({ search: {}, replace: true })}>
        <Choice
          label="State"
          names={DISPUTES}
          value={state}
          set={(chosen) => navigate({ search: disputeFilters({ state: chosen }), replace: true })}
        />
      </FilterBar>
      <ListOf query={disputesQuery(state)} nothing="There is no dispute like this." label="Disputes">
        {(dispute) => <DisputeRow key={dispute.id} dispute={dispute} />}
      </ListOf>
    </>
  );
}

function DisputeRow({ dispute }: { dispute: Dispute }) {
  const [shows, { toggle }] = useDisclosure(dispute.state === "open");
  return (
    <Paper withBorder p="sm" component="li">
      <Stack gap="xs">
        <Group justify="space-between" gap="xs">
          <Group gap="xs">
            <Badge variant="light" color={COLORS[dispute.state]}>
              {DISPUTES[dispute.state]}
            </Badge>
            <Text size="sm" component="div">
              about <TransferLink id={dispute.transfer_id} />
            </Text>
          </Group>
          <Text size="sm" c="dimmed">
            opened <When at={dispute.created_at} size="sm" />
            {dispute.state === "open" && (
              <>
                , expires <When at={dispute.deadline} size="sm" />
              </>
            )}
          </Text>
        </Group>
        <Text fw={600} style={{ overflowWrap: "anywhere" }}>
          “{dispute.reason}”
        </Text>
        {dispute.outcome && <Text size="sm">{dispute.outcome}</Text>}
        <Group>
          <Button size="xs" variant="subtle" onClick={toggle} aria-expanded={shows}>
            {shows ? "Hide both sides" : "Show both sides"}
          </Button>
        </Group>
        {shows && <BothSides disputeId={dispute.id} />}
      </Stack>
    </Paper>
  );
}

function BothSides({ disputeId }: { disputeId: string }) {
  const dispute = useQuery(disputeQuery(disputeId));
  return (
    <Shown query={dispute} rows={3}>
      {(found) => (
        <Stack gap="sm">
          <DisputedAmount dispute={found} />
          <div className="sides">
            <Side title="The payer says" who={found.payer_id} dispute={found} author="payer" />
            <Side title="The payee says" who={found.payee_id} dispute={found} author="payee" />
          </div>
          {found.decided_by && (
            <Text size="sm" component="div">
              Decided by <CustomerLink id={found.decided_by} /> (by the {found.decided_channel}): {found.ruling},{" "}
              {found.decided_reason}
            </Text>
          )}
          <Group gap="xs">
            <DisputeActs dispute={found} />
          </Group>
        </Stack>
      )}
    </Shown>
  );
}

function DisputedAmount({ dispute }: { dispute: Dispute }) {
  const transfer = useQuery(transferFileQuery(dispute.transfer_id)).data;
  // Its line is there from the beginning, so that the acts below it do not move.
  if (!transfer) return <Text size="sm">…</Text>;
  return (
    <Text size="sm">
      <Money minor={transfer.amount} code={transfer.currency} fw={650} /> were paid,{" "}
      {dispute.held_amount ? (
        <>
          <Money minor={dispute.held_amount} code={transfer.currency} fw={650} /> of them are held on the payee's
          account
        </>
      ) : (
        "nothing of it is held"
      )}
      {dispute.amount !== null && (
        <>
          , <Money minor={dispute.amount} code={transfer.currency} fw={650} /> are to come back
        </>
      )}
      .
    </Text>
  );
}

type SideProps = { title: string; who?: string | null; dispute: Dispute; author: "payer" | "payee" };

function Side({ title, who, dispute, author }: SideProps) {
  const said = dispute.statements.filter((statement) => statement.author === author);
  return (
    <Stack gap={4} role="group" aria-label={title}>
      <Text size="sm" fw={600} component="div">
        {title} {who && <CustomerLink id={who} />}
      </Text>
      {author === "payer" && <Text size="sm">“{dispute.reason}”</Text>}
      {said.map((statement) => (
        <Text size="sm" key={statement.stated_at} style={{ overflowWrap: "anywhere" }}>
          “{statement.text}” <When at={statement.stated_at} size="sm" c="dimmed" />
        </Text>
      ))}
      {author === "payee" && said.length === 0 && (
        <Text size="sm" c="dimmed">
          Nothing yet.
        </Text>
      )}
    </Stack>
  );
}
