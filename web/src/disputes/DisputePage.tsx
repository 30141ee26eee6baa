import { Alert, Button, Group, Stack, Text, Textarea } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { accountsQuery } from "../accounts/queries";
import { api } from "../api/client";
import { answerTo, fieldErrors } from "../api/problem";
import { useKeyed } from "../api/useOnce";
import { Money } from "../money/Money";
import { direction, transferQuery } from "../transactions/queries";
import { TextLink } from "../ui/ButtonLink";
import { Facts } from "../ui/Facts";
import { FormProblem } from "../ui/FormProblem";
import { PageTitle } from "../ui/PageTitle";
import { Section } from "../ui/Section";
import { Shown } from "../ui/Shown";
import { When } from "../ui/When";
import { DisputeState } from "./DisputesPage";
import { type Dispute, disputeQuery, STATES, showDispute } from "./queries";

const route = getRouteApi("/customers/disputes/$disputeId");

export function DisputePage() {
  const { disputeId } = route.useParams();
  const dispute = useQuery(disputeQuery(disputeId));
  return (
    <>
      <TextLink to="/disputes" size="sm">
        All disputes
      </TextLink>
      <PageTitle title="Dispute" says="What both sides say about a payment, and what is decided.">
        {dispute.data && <DisputeState state={dispute.data.state} />}
      </PageTitle>
      <Shown query={dispute} rows={5}>
        {(found) => <Both dispute={found} />}
      </Shown>
    </>
  );
}

function Both({ dispute }: { dispute: Dispute }) {
  const transfer = useQuery(transferQuery(dispute.transfer_id)).data;
  const own = new Set(useQuery(accountsQuery).data?.map(({ id }) => id));
  const side = transfer && direction(transfer, own) === "in" ? "payee" : "payer";
  const { label, says, color } = STATES[dispute.state];
  const who = (author: "payer" | "payee") => (author === side ? "You" : author === "payer" ? "The payer" : "The payee");
  return (
    <Stack gap="lg" maw={820}>
      <Alert color={color} title={label} role="status">
        <Text size="sm">
          {says} {dispute.outcome}
        </Text>
        {dispute.decided_reason && <Text size="sm">Staff say: {dispute.decided_reason}</Text>}
      </Alert>
      <Section title="The payment">
        <Facts
          facts={[
            ["Amount", transfer && <Money key="amount" minor={transfer.amount} code={transfer.currency} fw={600} />],
            ["Note", transfer?.note],
            [
              "Transaction",
              <TextLink key="t" to="/transactions/$transferId" params={{ transferId: dispute.transfer_id }}>
                See the transaction
              </TextLink>,
            ],
            ["Opened", <When key="at" at={dispute.created_at} />],
            ["Decided until", dispute.state === "open" && <When key="deadline" at={dispute.deadline} />],
            [
              "Comes back",
              transfer && dispute.amount !== null && (
                <Money key="back" minor={dispute.amount} code={transfer.currency} fw={600} />
              ),
            ],
            [
              "Reversal",
              dispute.reversal_transfer_id && (
                <TextLink
                  key="reversal"
                  to="/transactions/$transferId"
                  params={{ transferId: dispute.reversal_transfer_id }}
                >
                  See where the money is
                </TextLink>
              ),
            ],
          ]}
        />
      </Section>
      <Section title="What was said" says="Nothing of it can be changed.">
        <ol className="timeline">
          <li>
            <Text fw={550}>{who("payer")}</Text>
            <Text style={{ overflowWrap: "anywhere" }}>{dispute.reason}</Text>
            <When at={dispute.created_at} size="sm" c="dimmed" />
          </li>
          {dispute.statements.map(({ author, text, stated_at }) => (
            <li key={stated_at}>
              <Text fw={550}>{who(author)}</Text>
              <Text style={{ overflowWrap: "anywhere" }}>{text}</Text>
              <When at={stated_at} size="sm" c="dimmed" />
            </li>
          ))}
        </ol>
        {dispute.state === "open" && <Answer dispute={dispute} />}
      </Section>
    </Stack>
  );
}

function Answer({ dispute }: { dispute: Dispute }) {
  const [text, setText] = useState("");
  const say = useKeyed(
    (body: { text: string }, key) =>
      answerTo(
        api.POST("/v1/disputes/{dispute_id}/statements", {
          params: { path: { dispute_id: dispute.id }, header: { "Idempotency-Key": key } },
          body,
        }),
      ),
    (changed) => {
      setText("");
      showDispute(changed);
    },
  );
  const errors = fieldErrors(say.error, ["text"]);
  function submit(event: FormEvent) {
    event.preventDefault();
    say.mutate({ text: text.trim() });
  }
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="sm">
        <Textarea
          label="Your answer"
          description="The other side and staff read it."
          autosize
          minRows={2}
          maxLength={2000}
          disabled={say.isPending}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          error={errors.text}
        />
        <FormProblem error={say.error} shown={Object.keys(errors)} />
        <Group>
          <Button type="submit" loading={say.isPending} disabled={text.trim() === ""}>
            Say it
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
