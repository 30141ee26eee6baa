import { Badge, Button, Group, Paper, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import type { Schemas } from "../../api/client";
import { ListOf } from "../../ui/ListOf";
import { BY_KEYBOARD } from "../../ui/listQuery";
import { PageTitle } from "../../ui/PageTitle";
import { Shown } from "../../ui/Shown";
import { When } from "../../ui/When";
import { Choice, FilterBar, Typed } from "../FilterBar";
import { CustomerLink } from "../Names";
import { LETTERS, letterFilters } from "./filters";
import { Discard, Replay, ReplayAll } from "./LetterActs";
import { deadLettersQuery, letterQuery } from "./queries";

const route = getRouteApi("/customers/staff/dead-letters");

const COLORS: Record<Schemas["LetterState"], string> = { dead: "red", replayed: "green", discarded: "gray" };

export function DeadLettersPage() {
  const filters = letterFilters(route.useSearch());
  const navigate = route.useNavigate();
  const filter = (changed: Record<string, unknown>) =>
    navigate({ search: letterFilters({ ...filters, ...changed }), replace: true });
  return (
    <>
      <PageTitle title="Dead letters" says="Events that a receiver did not take. Send them again, or give them up.">
        <ReplayAll filters={filters} />
      </PageTitle>
      <FilterBar isFiltered={Object.keys(filters).length > 0} clear={() => navigate({ search: {}, replace: true })}>
        <Choice label="State" names={LETTERS} value={filters.state} set={(state) => filter({ state })} />
        <Typed label="Source" hint="webhooks" value={filters.source} set={(source) => filter({ source })} />
        <Typed label="Target" hint="whe_…" value={filters.target} set={(target) => filter({ target })} />
      </FilterBar>
      <ListOf query={deadLettersQuery(filters)} nothing="No letter is like this." label="Dead letters">
        {(letter) => <LetterRow key={letter.id} letter={letter} />}
      </ListOf>
    </>
  );
}

function LetterRow({ letter }: { letter: Schemas["DeadLetterSummaryOut"] }) {
  const [shows, { toggle }] = useDisclosure();
  return (
    <Paper withBorder p="sm" component="li">
      <Stack gap="xs">
        <Text fw={600} style={{ overflowWrap: "anywhere" }}>
          {letter.reason}
        </Text>
        <Group gap="xs">
          <Badge variant="light" color={COLORS[letter.state]}>
            {LETTERS[letter.state]}
          </Badge>
          <Text size="sm">{letter.type ?? "No event"}</Text>
          <Text size="sm" className="code">
            {letter.source}
            {letter.target && ` → ${letter.target}`}
          </Text>
          <Text size="sm" c="dimmed">
            {letter.attempts} {letter.attempts === 1 ? "attempt" : "attempts"}
          </Text>
          <When at={letter.died_at} size="sm" c="dimmed" exact />
        </Group>
        {letter.ended_by && (
          <Text size="sm" component="div">
            {LETTERS[letter.state]} by <CustomerLink id={letter.ended_by} />: {letter.ended_reason}
          </Text>
        )}
        <Group gap="xs">
          {letter.state === "dead" && <Replay letter={letter} />}
          {letter.state === "dead" && <Discard letter={letter} />}
          <Button size="xs" variant="subtle" onClick={toggle} aria-expanded={shows}>
            {shows ? "Hide what it says" : "Inspect"}
          </Button>
        </Group>
        {shows && <Letter letterId={letter.id} />}
      </Stack>
    </Paper>
  );
}

function Letter({ letterId }: { letterId: string }) {
  const letter = useQuery(letterQuery(letterId));
  return (
    <Shown query={letter} rows={3}>
      {({ body, event_id }) => (
        <>
          {event_id && (
            <Text size="sm" className="code">
              {event_id}
            </Text>
          )}
          <section className="scrolled" {...BY_KEYBOARD} aria-label="What would have arrived">
            <pre className="body code">{JSON.stringify(body, null, 2)}</pre>
          </section>
        </>
      )}
    </Shown>
  );
}
