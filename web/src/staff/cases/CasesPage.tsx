import { Badge, Button, Group, Paper, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { api, type Schemas } from "../../api/client";
import { answerTo } from "../../api/problem";
import { ListOf } from "../../ui/ListOf";
import { PageTitle } from "../../ui/PageTitle";
import { Shown } from "../../ui/Shown";
import { When } from "../../ui/When";
import { ActButton } from "../ActButton";
import { Choice, FilterBar, Typed } from "../FilterBar";
import { factTexts } from "../facts";
import { CustomerLink, Party, TransferLink } from "../Names";
import { CASES, type CaseFilters, caseFilters } from "./filters";
import { caseQuery, casesQuery } from "./queries";

const route = getRouteApi("/customers/staff/cases");

export function CasesPage() {
  const filters = caseFilters(route.useSearch());
  const navigate = route.useNavigate();
  const filter = (changed: { [Name in keyof CaseFilters]: unknown }) =>
    navigate({ search: caseFilters({ ...filters, ...changed }), replace: true });
  return (
    <>
      <PageTitle
        title="Cases"
        says="Accounts that a fraud rule has flagged. A flag stops no money: look into it, freeze, or close the case."
      />
      <FilterBar isFiltered={Object.keys(filters).length > 0} clear={() => navigate({ search: {}, replace: true })}>
        <Choice label="State" names={CASES} value={filters.state} set={(state) => filter({ state })} />
        <Typed label="Account" hint="acc_…" value={filters.account} set={(account) => filter({ account })} />
      </FilterBar>
      <ListOf query={casesQuery(filters)} nothing="There is no case like this." label="Cases">
        {(found) => <CaseRow key={found.id} found={found} />}
      </ListOf>
    </>
  );
}

function CaseRow({ found }: { found: Schemas["CaseOut"] }) {
  const [shows, { toggle }] = useDisclosure(found.state === "open");
  return (
    <Paper withBorder p="sm" component="li">
      <Stack gap="xs">
        <Group gap="xs">
          <Badge variant="light" color={found.state === "open" ? "yellow" : "gray"}>
            {CASES[found.state]}
          </Badge>
          <Text size="sm" component="div">
            <Party id={found.account_id} />
          </Text>
          <Text size="sm" c="dimmed">
            flagged <When at={found.opened_at} size="sm" />
          </Text>
        </Group>
        {found.closed_by && (
          <Text size="sm" component="div">
            Closed by <CustomerLink id={found.closed_by} />: {found.closing_reason}
          </Text>
        )}
        <Group gap="xs">
          {found.state === "open" && <CloseCase caseId={found.id} />}
          <Button size="xs" variant="subtle" onClick={toggle} aria-expanded={shows}>
            {shows ? "Hide the flags" : "Show the flags"}
          </Button>
        </Group>
        {shows && <Flags caseId={found.id} />}
      </Stack>
    </Paper>
  );
}

function Flags({ caseId }: { caseId: string }) {
  const file = useQuery(caseQuery(caseId));
  return (
    <Shown query={file} rows={1}>
      {({ flags }) => (
        <ul className="list">
          {flags.map((flag) => (
            <li key={`${flag.transfer_id} ${flag.attempt} ${flag.rule}`}>
              <Text size="sm">
                <b>{flag.rule}</b>: {flag.reason} <When at={flag.flagged_at} size="sm" c="dimmed" exact />{" "}
                <TransferLink id={flag.transfer_id} />
              </Text>
              {factTexts(flag.facts).map((fact) => (
                <Text size="sm" c="dimmed" key={fact}>
                  {fact}
                </Text>
              ))}
            </li>
          ))}
        </ul>
      )}
    </Shown>
  );
}

function CloseCase({ caseId }: { caseId: string }) {
  return (
    <ActButton
      label="Close the case"
      isFirst
      title="Close this case?"
      says="For good, with what you found. A later flag opens another case. To stop money, freeze the account first."
      confirm="Close it"
      send={(reason, key) =>
        answerTo(
          api.POST("/v1/admin/cases/{case_id}/close", {
            params: { path: { case_id: caseId }, header: { "Idempotency-Key": key } },
            body: { reason },
          }),
        )
      }
      effect={() => "The case is closed."}
      reads={["cases", "case", "account"]}
    />
  );
}
