import { FileInput, Paper, Radio, SegmentedControl, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";
import { type Account, accountsQuery } from "../accounts/queries";
import { api } from "../api/client";
import { answerTo } from "../api/problem";
import { useOnce } from "../api/useOnce";
import { useMe } from "../customers/queries";
import { VerificationState } from "../customers/VerificationState";
import { TextLink } from "../ui/ButtonLink";
import { NotKnown } from "../ui/NotKnown";
import { PageTitle } from "../ui/PageTitle";
import { Section } from "../ui/Section";
import { Nothing, Shown } from "../ui/Shown";
import { COLUMNS, type TypedRow } from "./columns";
import { LineErrors } from "./LineErrors";
import { type Batch, MODES, showBatch } from "./queries";

/** `csv`: what is sent. `file`: the name of the file that it comes from; of typed rows there is none. */
type Typed = {
  way: "file" | "rows";
  mode: Batch["mode"];
  file: string;
  csv: string;
  source: string;
  rows: TypedRow[];
};

const BLANK: Typed = { way: "file", mode: "best_effort", file: "", csv: "", source: "", rows: [] };

const MOST_BYTES = 4_000_000;

// What reads and writes CSV comes when it is needed.
const Previewed = lazy(() => import("./Previewed").then((loaded) => ({ default: loaded.Previewed })));
const TypedRows = lazy(() => import("./TypedRows").then((loaded) => ({ default: loaded.TypedRows })));

export function NewBatchPage() {
  const accounts = useQuery(accountsQuery);
  const navigate = useNavigate();
  const me = useMe();
  const batch = useOnce<Typed, Batch>({
    name: "batch",
    blank: BLANK,
    send: ({ csv, mode }, key) =>
      answerTo(
        api.POST("/v1/batches", {
          params: { query: { mode }, header: { "Idempotency-Key": key } },
          headers: { "Content-Type": "text/csv" },
          body: csv as never,
          bodySerializer: (body: unknown) => body as string,
        }),
      ),
    onKnown: (made) => {
      showBatch(made);
      navigate({ to: "/batches/$batchId", params: { batchId: made.id } });
    },
  });
  const { typed, type, isSent } = batch;
  const set = (changed: Partial<Typed>) => type({ ...typed, ...changed });
  const isBlocked = me?.verification?.state !== "verified";
  return (
    <>
      <TextLink to="/batches" size="sm">
        All batches
      </TextLink>
      <PageTitle title="New batch" says="Up to 10,000 payments at once. All are checked before any is sent." />
      <Stack maw={820}>
        {me && <VerificationState me={me} />}
        {isSent && <NotKnown isMissing={batch.isMissing} />}
        <fieldset className="bare" disabled={isSent || isBlocked}>
          <Stack>
            <Section title="If one cannot be paid">
              <Radio.Group
                aria-label="If one cannot be paid"
                value={typed.mode}
                onChange={(mode) => set({ mode: mode as Batch["mode"] })}
              >
                <Stack gap="xs">
                  {Object.entries(MODES).map(([mode, { label, says }]) => (
                    <Radio key={mode} value={mode} label={label} description={says} />
                  ))}
                </Stack>
              </Radio.Group>
            </Section>
            <SegmentedControl
              aria-label="Where the payments come from"
              data={[
                { value: "file", label: "From a file" },
                { value: "rows", label: "Type them" },
              ]}
              value={typed.way}
              onChange={(way) => set({ way: way as Typed["way"], csv: "", file: "" })}
            />
            {typed.way === "file" ? (
              <FromFile typed={typed} set={set} send={() => batch.submit()} isSent={isSent} />
            ) : (
              <Shown query={accounts} rows={4}>
                {(found) => (
                  <FromRows
                    accounts={found}
                    typed={typed}
                    set={set}
                    send={(csv) => batch.submit({ ...typed, csv })}
                    isSent={isSent}
                  />
                )}
              </Shown>
            )}
          </Stack>
        </fieldset>
        <LineErrors error={batch.refusal} />
        <Text size="xs" c="dimmed">
          Key of this batch: <span className="code">{batch.key}</span>
        </Text>
      </Stack>
    </>
  );
}

type WayProps = { typed: Typed; set: (changed: Partial<Typed>) => void; isSent: boolean };

function FromFile({ typed, set, send, isSent }: WayProps & { send: () => void }) {
  const [objection, setObjection] = useState<string | null>(null);
  async function take(file: File | null) {
    if (file === null) return set({ file: "", csv: "" });
    const isTooLarge = file.size > MOST_BYTES;
    setObjection(isTooLarge ? "A batch has at most 4 MB: send it in parts" : null);
    set(isTooLarge ? { file: "", csv: "" } : { file: file.name, csv: await file.text() });
  }
  return (
    <Section title="From a file" says="A CSV in UTF-8 whose first line names the columns.">
      <Stack>
        <Text size="sm" className="code">
          {COLUMNS.join(",")}
        </Text>
        <Text size="sm">
          Your account stands there by its id, a payee by the account's number or id, and amounts in the smallest unit:
          1250 are $12.50. Each reference is used once, ever: so a file that is sent twice is not paid twice.
        </Text>
        <FileInput
          label="The file"
          placeholder={typed.file || "Choose a CSV"}
          accept=".csv,text/csv"
          styles={{ placeholder: { color: "var(--mantine-color-dimmed)" } }}
          clearable
          clearButtonProps={{ "aria-label": "Take the file away" }}
          disabled={isSent}
          onChange={take}
          error={objection}
        />
        <Suspense>
          {typed.csv !== "" && <Previewed csv={typed.csv} name={typed.file} send={send} isSent={isSent} />}
        </Suspense>
      </Stack>
    </Section>
  );
}

function FromRows({
  accounts,
  typed,
  set,
  send,
  isSent,
}: WayProps & { accounts: Account[]; send: (csv: string) => void }) {
  const open = accounts.filter(({ status }) => status !== "closed");
  if (open.length === 0) return <Nothing says="You have no open account to send money from." />;
  return (
    <Paper withBorder p={{ base: "md", sm: "lg" }} component="section" aria-label="Typed payments">
      <Suspense>
        <TypedRows
          accounts={open}
          sourceId={typed.source}
          rows={typed.rows}
          change={(source, rows) => set({ source, rows })}
          send={send}
          isSent={isSent}
        />
      </Suspense>
    </Paper>
  );
}
