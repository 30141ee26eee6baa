import { Badge, Button, Group, Paper, Progress, Stack, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client";
import { answerTo } from "../../api/problem";
import { ListOf } from "../../ui/ListOf";
import { Section } from "../../ui/Section";
import { Shown } from "../../ui/Shown";
import { When } from "../../ui/When";
import { ActButton } from "../ActButton";
import { plain } from "../Changes";
import { AccountLink, CustomerLink } from "../Names";
import { isIdOf } from "../search";
import { useMay } from "../useMay";
import { type Rebuild, rebuildQuery, rebuildsQuery } from "./queries";

/** Rebuild balances from their entries, of one account or of all, and watch how far it is. */
export function Rebuilds() {
  const may = useMay();
  return (
    <Section
      title="Rebuilds"
      says="Balances, counters and head hashes made again from the entries."
      action={may("rebuild_account") && <NewRebuild />}
    >
      <ListOf query={rebuildsQuery} nothing="Nobody has rebuilt anything." label="Rebuilds">
        {(rebuild) => <RebuildRow key={rebuild.id} rebuild={rebuild} />}
      </ListOf>
    </Section>
  );
}

function NewRebuild() {
  const [account, setAccount] = useState("");
  const typed = account.trim();
  const objection = typed === "" || isIdOf("acc", typed) ? null : "An account's id begins with acc_.";
  return (
    <ActButton
      label="Rebuild"
      title={typed === "" ? "Rebuild all accounts?" : "Rebuild one account?"}
      says="From their entries, which stay as they are. An account whose entries are broken is left, and the rebuild says so."
      confirm={typed === "" ? "Rebuild all accounts" : "Rebuild the account"}
      objection={objection}
      send={(reason, key) =>
        answerTo(
          api.POST("/v1/admin/rebuilds", {
            params: { header: { "Idempotency-Key": key } },
            body: typed === "" ? { reason, all: true } : { reason, account_id: typed },
          }),
        )
      }
      effect={() => "The rebuild has begun."}
      reads={["rebuilds", "account", "books"]}
    >
      <TextInput
        label="Account"
        description="Empty: all of them"
        placeholder="acc_…"
        value={account}
        onChange={(event) => setAccount(event.currentTarget.value)}
        error={objection}
      />
    </ActButton>
  );
}

const FRESH_MS = 60_000;

function RebuildRow({ rebuild }: { rebuild: Rebuild }) {
  // One account takes milliseconds: whoever has just begun it reads at once what it found.
  const isFresh = Date.now() - Date.parse(rebuild.created_at) < FRESH_MS;
  const [shows, { toggle }] = useDisclosure(rebuild.state === "running" || isFresh);
  return (
    <Paper withBorder p="sm" component="li">
      <Stack gap="xs">
        <Group gap="xs">
          <Badge variant="light" color={rebuild.state === "running" ? "blue" : "green"}>
            {rebuild.state}
          </Badge>
          <Text size="sm" component="div">
            {rebuild.account_id ? <AccountLink id={rebuild.account_id} /> : "All accounts"}, requested by{" "}
            <CustomerLink id={rebuild.requested_by} />: {rebuild.reason}
          </Text>
          <When at={rebuild.created_at} size="sm" c="dimmed" exact />
        </Group>
        <Group>
          <Button size="xs" variant="subtle" onClick={toggle} aria-expanded={shows}>
            {shows ? "Hide what it found" : "Show what it found"}
          </Button>
        </Group>
        {shows && <Found rebuildId={rebuild.id} />}
      </Stack>
    </Paper>
  );
}

function Found({ rebuildId }: { rebuildId: string }) {
  const rebuild = useQuery(rebuildQuery(rebuildId));
  return (
    <Shown query={rebuild} rows={2}>
      {(found) => {
        const total = found.accounts_total;
        return (
          <Stack gap="xs">
            <Progress.Root size="lg">
              <Progress.Section
                value={found.state === "completed" ? 100 : total ? (100 * found.accounts_done) / total : 0}
                aria-label="Accounts looked at"
              />
            </Progress.Root>
            <Text size="sm" role="status">
              {found.accounts_done} of {total ?? "not counted yet"} looked at, {found.rebuilt} rebuilt,{" "}
              {found.left_as_they_are} left as they are.
            </Text>
            {found.differences.map((difference) => (
              <Text size="sm" key={`${difference.account_id} ${difference.column}`} component="div">
                <AccountLink id={difference.account_id} /> {difference.column}: {plain(difference.before)} →{" "}
                <b>{plain(difference.after)}</b>
              </Text>
            ))}
            {found.left.map((left) => (
              <Text size="sm" key={left.account_id} component="div">
                <AccountLink id={left.account_id} /> left as it is ({left.code}): {left.detail}
              </Text>
            ))}
          </Stack>
        );
      }}
    </Shown>
  );
}
