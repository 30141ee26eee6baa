import { Paper, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { createLink } from "@tanstack/react-router";
import { forwardRef, type ReactNode } from "react";
import { Money } from "../../money/Money";
import { PageTitle } from "../../ui/PageTitle";
import { Section } from "../../ui/Section";
import { Nothing, Shown } from "../../ui/Shown";
import { ageText } from "../ages";
import { BAD } from "../colors";
import { nowQuery } from "../stats/queries";
import { AnyTransferRow } from "../transactions/AnyTransferRow";
import { TransferActs } from "../transactions/TransferActs";
import { countQueries } from "./queries";

const CardLink = createLink(
  forwardRef<HTMLAnchorElement, React.AnchorHTMLAttributes<HTMLAnchorElement>>(function CardLink(props, ref) {
    return <a {...props} ref={ref} className="counted" />;
  }),
);

export function OverviewPage() {
  return (
    <>
      <PageTitle title="Console" says="What waits for a person now. Nothing here: nothing to do." />
      <Stack gap="lg">
        <SimpleGrid cols={{ base: 1, xs: 2, md: 3 }}>
          <Card to="/staff/attention" title="Need attention" says="A step has no answer" of="attention" />
          <Card to="/staff/reviews" title="In review" says="Wait for a decision" of="reviews" />
          <Card
            to="/staff/disputes"
            search={{ state: "open" }}
            title="Open disputes"
            says="Read both sides"
            of="disputes"
          />
          <Card to="/staff/cases" search={{ state: "open" }} title="Open cases" says="Flagged accounts" of="cases" />
          <Card
            to="/staff/batches"
            search={{ state: "held" }}
            title="Held batches"
            says="One payment needs a person"
            of="batches"
          />
          <Card
            to="/staff/documents"
            search={{ state: "in_review" }}
            title="Documents"
            says="Is it who they say?"
            of="documents"
          />
          <Card
            to="/staff/tier-requests"
            search={{ state: "open" }}
            title="Tier requests"
            says="Want to send more"
            of="tiers"
          />
          <Card to="/staff/role-requests" title="Role requests" says="Need a second admin" of="roles" />
          <Card
            to="/staff/dead-letters"
            search={{ state: "dead" }}
            title="Dead letters"
            says="Not delivered"
            of="letters"
          />
        </SimpleGrid>
        <Waiting />
      </Stack>
    </>
  );
}

type CardProps = {
  to: string;
  search?: Record<string, string>;
  title: string;
  says: string;
  of: keyof typeof countQueries;
};

function Card({ to, search, title, says, of }: CardProps) {
  const counted = useQuery(countQueries[of]);
  const known = counted.data;
  const count: ReactNode = counted.isError ? "?" : (known ?? "…");
  return (
    <CardLink to={to} search={search as never}>
      <Paper withBorder p="md">
        <Text size="xl" fw={700} c={known !== undefined && known !== "0" ? BAD : undefined}>
          {count}
        </Text>
        <Title order={2} size="h5">
          {title}
        </Title>
        <Text size="sm" c="dimmed">
          {counted.isError ? "This could not be read" : says}
        </Text>
      </Paper>
    </CardLink>
  );
}

function Waiting() {
  const now = useQuery(nowQuery);
  return (
    <Section title="Longest without a change" says="Of all transfers that are not final.">
      <Shown query={now} rows={2}>
        {({ oldest_not_final: oldest, in_transit }) => (
          <Stack gap="sm">
            {in_transit.map(({ currency, transfers, amount, oldest_seconds }) => (
              <Text size="sm" key={currency}>
                <Money minor={amount} code={currency} fw={650} size="sm" /> in transit in {transfers}, the oldest for{" "}
                {ageText(oldest_seconds)}
              </Text>
            ))}
            {oldest ? (
              <ul className="list">
                <AnyTransferRow transfer={oldest}>
                  <TransferActs transfer={oldest} />
                </AnyTransferRow>
              </ul>
            ) : (
              <Nothing says="Every transfer has ended." />
            )}
          </Stack>
        )}
      </Shown>
    </Section>
  );
}
