import { Alert, Button, Group, Loader, Paper, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { accountsQuery } from "../accounts/queries";
import { meQuery } from "../customers/queries";
import { Money } from "../money/Money";
import { transferQuery } from "../transactions/queries";
import { TransferOutcome } from "../transactions/TransferOutcome";
import { ButtonLink } from "../ui/ButtonLink";
import { PageTitle } from "../ui/PageTitle";
import { Shown } from "../ui/Shown";
import type { Intent } from "./intent";
import { startOver, usePayment } from "./payment";
import { TransferForm } from "./TransferForm";

export function TransferPage() {
  const me = useQuery(meQuery);
  return (
    <>
      <PageTitle title="Send money" says="To another account at Remit. Whatever happens on the way, it is sent once." />
      <Paper withBorder p={{ base: "md", sm: "xl" }} radius="lg" maw={560}>
        <Shown query={me}>{(found) => <Payment customerId={found.id} />}</Shown>
      </Paper>
    </>
  );
}

function Payment({ customerId }: { customerId: string }) {
  const { intent, refusal } = usePayment(customerId);
  const accounts = useQuery(accountsQuery);
  const me = useQuery(meQuery);
  return (
    <Stack>
      {intent.stage === "typing" && (
        <Shown query={accounts} rows={4}>
          {(found) => me.data && <TransferForm intent={intent} accounts={found} me={me.data} refusal={refusal} />}
        </Shown>
      )}
      {intent.stage === "sent" && <Sent intent={intent} />}
      {intent.stage === "known" && <Known intent={intent} />}
      <Text size="xs" c="dimmed">
        Key of this transfer: <span className="code">{intent.key}</span>
      </Text>
    </Stack>
  );
}

/** A request has left. Nothing here says that it failed, because nobody knows that. */
function Sent({ intent }: { intent: Intent & { stage: "sent" } }) {
  return (
    <Alert
      color={intent.unanswered ? "yellow" : "blue"}
      icon={<Loader size={18} />}
      title={intent.unanswered ? "Not known yet, asking again" : "Sending"}
      role="status"
      aria-live="polite"
    >
      <Text size="sm">
        <Money minor={intent.order.amount} code={intent.order.currency} fw={600} size="sm" /> to{" "}
        <span className="code">{intent.typed.payee}</span>.{" "}
        {intent.unanswered &&
          "No answer has come, so the transfer may be on its way. It is asked for with the same key, and so it is made once, however often this page asks. You need not do anything."}
      </Text>
    </Alert>
  );
}

function Known({ intent }: { intent: Intent & { stage: "known" } }) {
  const transfer = useQuery(transferQuery(intent.transferId));
  return (
    <Shown query={transfer}>
      {(found) => (
        <Stack>
          <Text>
            <Money minor={found.amount} code={found.currency} fw={700} size="xl" /> to{" "}
            <span className="code">{intent.typed.payee}</span>
            {found.note && `: ${found.note}`}
          </Text>
          <TransferOutcome
            transfer={found}
            isOwn
            change={
              <Button size="xs" onClick={() => startOver(intent.typed)}>
                Change your request
              </Button>
            }
          />
          <Group>
            <Button variant="default" onClick={() => startOver()}>
              New transfer
            </Button>
            <ButtonLink to="/transactions/$transferId" params={{ transferId: found.id }} variant="subtle">
              See the details
            </ButtonLink>
          </Group>
        </Stack>
      )}
    </Shown>
  );
}
