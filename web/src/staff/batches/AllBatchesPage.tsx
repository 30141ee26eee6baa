import { Group, Paper, Stack, Text } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { BatchState } from "../../batches/BatchesPage";
import { MODES, STATES } from "../../batches/queries";
import { ListOf } from "../../ui/ListOf";
import { PageTitle } from "../../ui/PageTitle";
import { When } from "../../ui/When";
import { Choice, FilterBar } from "../FilterBar";
import { shortId } from "../Names";
import { batchFilters } from "./filters";
import { type AnyBatch, allBatchesQuery } from "./queries";

const route = getRouteApi("/customers/staff/batches");

export function AllBatchesPage() {
  const { state } = batchFilters(route.useSearch());
  const navigate = route.useNavigate();
  return (
    <>
      <PageTitle title="All batches" says="Many payments in one. Those that wait for staff have moved nothing yet." />
      <FilterBar isFiltered={state !== undefined} clear={() => navigate({ search: {}, replace: true })}>
        <Choice
          label="State"
          names={STATES}
          value={state}
          set={(chosen) => navigate({ search: batchFilters({ state: chosen }), replace: true })}
        />
      </FilterBar>
      <ListOf query={allBatchesQuery(state)} nothing="There is no batch like this." label="Batches">
        {(batch) => <BatchRow key={batch.id} batch={batch} />}
      </ListOf>
    </>
  );
}

function BatchRow({ batch }: { batch: AnyBatch }) {
  return (
    <Paper withBorder component="li">
      <Link to="/staff/batches/$batchId" params={{ batchId: batch.id }} className="row inset">
        <Group justify="space-between" gap="sm">
          <Stack gap={2}>
            <Text fw={550}>
              {batch.total} {batch.total === 1 ? "payment" : "payments"}, {MODES[batch.mode].label.toLowerCase()}
            </Text>
            <Text size="sm" c="dimmed">
              of <span className="code">{shortId(batch.owner_id)}</span>, <When at={batch.created_at} size="sm" exact />
            </Text>
          </Stack>
          <Stack gap={2} className="at-end">
            <BatchState batch={batch} />
            <Text size="sm" c="dimmed">
              {batch.posted} of {batch.total} posted
            </Text>
          </Stack>
        </Group>
      </Link>
    </Paper>
  );
}
