import { Button, Paper, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { AccountName } from "../accounts/AccountName";
import { accountsQuery } from "../accounts/queries";
import { useMe } from "../customers/queries";
import { OpenDispute } from "../disputes/OpenDispute";
import { Money } from "../money/Money";
import { ButtonLink, TextLink } from "../ui/ButtonLink";
import { CopyText } from "../ui/CopyText";
import { Facts } from "../ui/Facts";
import { PageTitle } from "../ui/PageTitle";
import { Shown } from "../ui/Shown";
import { When } from "../ui/When";
import { KINDS, type State } from "./filters";
import {
  direction,
  isFinal,
  keyOf,
  MOST_ATTEMPTS,
  receiptQuery,
  type Transfer,
  timelineQuery,
  transferQuery,
} from "./queries";
import { TransferOutcome } from "./TransferOutcome";

const route = getRouteApi("/customers/transactions/$transferId");

export function DetailsPage() {
  const { transferId } = route.useParams();
  const transfer = useQuery(transferQuery(transferId));
  return (
    <>
      <TextLink to="/transactions" size="sm">
        All transactions
      </TextLink>
      <PageTitle title="Transaction" says="Where the money is, and how it got there." />
      <Shown query={transfer} rows={5}>
        {(found) => <Details transfer={found} />}
      </Shown>
    </>
  );
}

function Details({ transfer }: { transfer: Transfer }) {
  const me = useMe();
  const own = new Set(useQuery(accountsQuery).data?.map(({ id }) => id));
  // Only who asked for a transfer reads its workflow.
  const isOwn = transfer.workflow_id !== null;
  const receipt = useQuery({ ...receiptQuery(transfer.id), enabled: isFinal(transfer) }).data;
  return (
    <Stack gap="lg">
      <TransferOutcome
        transfer={transfer}
        isOwn={isOwn}
        change={
          transfer.kind === "transfer" && (
            <ButtonLink size="xs" to="/transfer">
              Change your request
            </ButtonLink>
          )
        }
      />
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <Paper withBorder p="lg" component="section" aria-label="Facts">
          <Money minor={transfer.amount} code={transfer.currency} fz="1.8rem" fw={700} />
          <Facts
            facts={[
              ["Kind", KINDS[transfer.kind]],
              ["From", <AccountName key="from" id={transfer.source_account_id} counterparty={receipt?.counterparty} />],
              [
                "To",
                <AccountName key="to" id={transfer.destination_account_id} counterparty={receipt?.counterparty} />,
              ],
              ["Note", transfer.note],
              ["Asked for", <When key="at" at={transfer.created_at} exact />],
              ["Ended", transfer.completed_at && <When key="ended" at={transfer.completed_at} exact />],
              ["Attempt", isOwn ? `${transfer.attempt} of ${MOST_ATTEMPTS}` : null],
              ["Reason", transfer.failure?.message],
              ["Key", keyOf(transfer) && <span className="code">{keyOf(transfer)}</span>],
              ["Number", <CopyText key="id" text={transfer.id} label="the transaction's number" />],
              [
                "Reverses",
                transfer.reverses_transfer_id && (
                  <TextLink
                    key="reverses"
                    to="/transactions/$transferId"
                    params={{ transferId: transfer.reverses_transfer_id }}
                  >
                    an earlier transaction
                  </TextLink>
                ),
              ],
            ]}
          />
        </Paper>
        <Stack>
          {isOwn && me && <Timeline transferId={transfer.id} />}
          {isFinal(transfer) && <Receipt transferId={transfer.id} />}
          {isDisputable(transfer, own) && <OpenDispute transferId={transfer.id} />}
        </Stack>
      </SimpleGrid>
    </Stack>
  );
}

/** A payment of the viewer's to somebody else that has arrived. Whether it is in time, the API knows. */
function isDisputable(transfer: Transfer, own: ReadonlySet<string>): boolean {
  return transfer.state === "completed" && transfer.kind === "transfer" && direction(transfer, own) === "out";
}

const REACHED: Record<State, string> = {
  initiated: "Accepted",
  in_review: "Given to a person to look at",
  debited: "Taken from the account",
  completed: "Given to the other account",
  compensated: "Given back",
  failed: "Refused",
  cancelled: "Cancelled",
};

function Timeline({ transferId }: { transferId: string }) {
  const timeline = useQuery(timelineQuery(transferId));
  return (
    <Paper withBorder p="lg" component="section">
      <Title order={2} size="h4" mb="sm">
        How it went
      </Title>
      <Shown query={timeline}>
        {(found) => (
          <ol className="timeline">
            {found.reached.map(({ attempt, state, at }) => (
              <li key={`${attempt} ${state}`}>
                <Text fw={550}>
                  {REACHED[state]}
                  {attempt > 1 && `, attempt ${attempt}`}
                </Text>
                <When at={at} exact size="sm" c="dimmed" />
              </li>
            ))}
          </ol>
        )}
      </Shown>
    </Paper>
  );
}

const LEGS: Record<string, string> = { debit: "Taken", credit: "Given", refund: "Given back" };

function Receipt({ transferId }: { transferId: string }) {
  const receipt = useQuery(receiptQuery(transferId));
  return (
    <Paper withBorder p="lg" component="section" className="receipt">
      <Title order={2} size="h4" mb="sm">
        Receipt
      </Title>
      <Shown query={receipt}>
        {(found) => (
          <>
            <Facts
              facts={[
                ["Amount", found.amount_text],
                ...found.postings.map((posting): [string, React.ReactNode] => [
                  LEGS[posting.leg] ?? posting.leg,
                  <When key={posting.id} at={posting.recorded_at} exact />,
                ]),
              ]}
            />
            {found.postings.length === 0 && <Text c="dimmed">Nothing was posted: no money has moved.</Text>}
            <Button variant="default" size="xs" mt="sm" onClick={() => window.print()}>
              Print
            </Button>
          </>
        )}
      </Shown>
    </Paper>
  );
}
