import { Anchor, Badge, Group, Stack, Table, Text, Title } from "@mantine/core";
import type { ReactNode } from "react";
import { Money } from "../../money/Money";
import { KINDS, STATES } from "../../transactions/filters";
import { StateBadge } from "../../transactions/StateBadge";
import { CopyText } from "../../ui/CopyText";
import { Facts } from "../../ui/Facts";
import { ListOf } from "../../ui/ListOf";
import { When } from "../../ui/When";
import { ActionRows } from "../audit/ActionRow";
import { RecordRow } from "../audit/RecordRow";
import { BAD } from "../colors";
import { AccountLink, CustomerLink, Party, TransferLink } from "../Names";
import { recordsQuery, type TransferFileFound } from "./queries";
import { TransferActs } from "./TransferActs";
import { Verdicts } from "./Verdicts";

const LEGS = { debit: "Debit: out of the source", credit: "Credit: into the destination", refund: "Refund: back" };

/** All that is known of a transfer, and what staff can do with it. */
export function TransferFile({ file }: { file: TransferFileFound }) {
  return (
    <Stack gap="lg">
      <Stack gap={4}>
        <Group gap="sm">
          <Money minor={file.amount} code={file.currency} fz="1.6rem" fw={700} />
          <StateBadge state={file.state} />
        </Group>
        {file.failure && (
          <Text c={BAD} fw={550}>
            {file.failure.code}: {file.failure.message}
          </Text>
        )}
        {file.note && <Text>“{file.note}”</Text>}
      </Stack>
      <TransferActs transfer={file} />
      <Facts
        facts={[
          ["Number", <CopyText key="id" text={file.id} label="the transaction's number" />],
          ["Kind", KINDS[file.kind]],
          ["From", <Party key="from" id={file.source_account_id} />],
          ["To", <Party key="to" id={file.destination_account_id} />],
          ["Requested by", <CustomerLink key="by" id={file.owner_id} />],
          ["Requested", <When key="at" at={file.created_at} exact />],
          ["Last change", <When key="changed" at={file.updated_at} exact />],
          ["Ended", file.completed_at && <When key="ended" at={file.completed_at} exact />],
          ["Attempt", `${file.attempt}`],
          ["Key", <CopyText key="key" text={file.idempotency_key} label="the idempotency key" />],
          ["Transaction id", file.transaction_id],
          ["Reverses", file.reverses_transfer_id && <TransferLink key="rev" id={file.reverses_transfer_id} />],
          ["Workflow", file.temporal_url && <TemporalLink key="temporal" url={file.temporal_url} />],
          ...Object.entries(file.metadata ?? {}).map(([name, value]): [string, ReactNode] => [name, value]),
        ]}
      />
      <Part title="Attempts">
        <ol className="timeline">
          {file.attempts.map((attempt) => (
            <li key={attempt.attempt}>
              <Text fw={550}>
                Attempt {attempt.attempt}: {STATES[attempt.state]}
              </Text>
              {attempt.failure && (
                <Text size="sm">
                  {attempt.failure.code}: {attempt.failure.message}
                </Text>
              )}
              {attempt.ended_at && <When at={attempt.ended_at} exact size="sm" c="dimmed" />}
            </li>
          ))}
        </ol>
        {file.abandonments.map((abandonment) => (
          <Text size="sm" key={abandonment.run_id}>
            Recovery ended attempt {abandonment.attempt}, <When at={abandonment.recorded_at} exact size="sm" />:{" "}
            {abandonment.reason} ({abandonment.workflow_id})
          </Text>
        ))}
      </Part>
      <Part title="Legs">
        <Legs file={file} />
      </Part>
      <Part title="Screening">
        <Verdicts transfer={file} />
      </Part>
      <Part title="What staff did">
        <ActionRows actions={file.actions} />
      </Part>
      <Part title="Messages">
        <Messages file={file} />
      </Part>
      <Part title="Records">
        <ListOf query={recordsQuery(file.id)} nothing="The audit trail has no record of it." label="Records">
          {(record) => <RecordRow key={record.id} record={record} />}
        </ListOf>
      </Part>
    </Stack>
  );
}

export function TemporalLink({ url }: { url: string }) {
  return (
    <Anchor href={url} target="_blank" rel="noreferrer" size="sm">
      Open in Temporal
    </Anchor>
  );
}

export function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Stack gap="xs" component="section" aria-label={title}>
      <Title order={2} size="h5">
        {title}
      </Title>
      {children}
    </Stack>
  );
}

function Legs({ file }: { file: TransferFileFound }) {
  if (file.postings.length === 0)
    return (
      <Text size="sm" c="dimmed">
        Nothing is posted: no money has moved.
      </Text>
    );
  return (
    <Stack gap="sm">
      {file.postings.map((posting) => (
        <Stack gap={4} key={posting.id}>
          <Group gap="xs">
            <Badge variant="light" color="gray">
              {posting.attempt}
            </Badge>
            <Text size="sm" fw={550}>
              {LEGS[posting.leg]}
            </Text>
            <When at={posting.recorded_at} exact size="sm" c="dimmed" />
          </Group>
          <Table.ScrollContainer minWidth={420} type="native" tabIndex={0}>
            <Table verticalSpacing={4} aria-label={`${posting.leg} of attempt ${posting.attempt}`}>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th scope="col">Account</Table.Th>
                  <Table.Th scope="col">Change</Table.Th>
                  <Table.Th scope="col">Before</Table.Th>
                  <Table.Th scope="col">After</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {file.entries
                  .filter(({ leg, attempt }) => leg === posting.leg && attempt === posting.attempt)
                  .map((entry) => (
                    <Table.Tr key={entry.account_id}>
                      <Table.Td>
                        <AccountLink id={entry.account_id} />
                      </Table.Td>
                      <Table.Td>
                        <Money minor={entry.amount} code={file.currency} size="sm" />
                      </Table.Td>
                      <Table.Td>
                        <Money minor={entry.balance_before} code={file.currency} size="sm" />
                      </Table.Td>
                      <Table.Td>
                        <Money minor={entry.balance_after} code={file.currency} size="sm" />
                      </Table.Td>
                    </Table.Tr>
                  ))}
              </Table.Tbody>
            </Table>
          </Table.ScrollContainer>
        </Stack>
      ))}
    </Stack>
  );
}

function Messages({ file }: { file: TransferFileFound }) {
  if (file.messages.length === 0)
    return (
      <Text size="sm" c="dimmed">
        Nobody was told anything yet.
      </Text>
    );
  return (
    <ul className="list">
      {file.messages.map((message) => (
        <li key={`${message.customer_id} ${message.attempt} ${message.occasion}`}>
          <Text size="sm" component="div">
            To <CustomerLink id={message.customer_id} />, <When at={message.created_at} exact size="sm" />:{" "}
            {message.body}
          </Text>
        </li>
      ))}
    </ul>
  );
}
