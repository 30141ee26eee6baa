import { Button, Group, Paper, SimpleGrid, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { AccountName } from "../accounts/AccountName";
import { accountsQuery, useCurrency } from "../accounts/queries";
import { api, type Schemas } from "../api/client";
import { answerTo } from "../api/problem";
import { useKeyed } from "../api/useOnce";
import { TextLink } from "../ui/ButtonLink";
import { ConfirmButton } from "../ui/ConfirmButton";
import { Facts } from "../ui/Facts";
import { FormProblem } from "../ui/FormProblem";
import { ListOf } from "../ui/ListOf";
import { PageTitle } from "../ui/PageTitle";
import { Section } from "../ui/Section";
import { Shown } from "../ui/Shown";
import { When } from "../ui/When";
import { OccurrenceRow } from "./OccurrenceRow";
import { OrderForm } from "./OrderForm";
import { HowMuch, OrderState } from "./OrderParts";
import { occurrencesQuery, orderQuery, showOrder } from "./queries";
import { changesOf, dayText, HOLIDAYS, OUTAGES, readTerms, recurrenceText, type StandingOrder, typedOf } from "./terms";

const route = getRouteApi("/customers/standing-orders/$orderId");

export function OrderPage() {
  const { orderId } = route.useParams();
  const order = useQuery(orderQuery(orderId));
  return (
    <>
      <TextLink to="/standing-orders" size="sm">
        All standing orders
      </TextLink>
      <PageTitle title="Standing order" says="What it pays and when, and what became of its dates.">
        {order.data && <OrderState order={order.data} />}
      </PageTitle>
      <Shown query={order} rows={5}>
        {(found) => <Order order={found} />}
      </Shown>
    </>
  );
}

function Order({ order }: { order: StandingOrder }) {
  const [isEdited, { open, close }] = useDisclosure();
  const isOver = order.state === "completed" || order.state === "cancelled";
  return (
    <Stack gap="lg">
      <Section title={order.note || recurrenceText(order.recurrence)} action={<HowMuch order={order} />}>
        <OrderFacts order={order} />
        {!isOver && !isEdited && (
          <Group gap="xs" mt="md">
            <Button size="xs" onClick={open}>
              Edit
            </Button>
            <Steering order={order} />
          </Group>
        )}
      </Section>
      {isEdited && <Edit order={order} close={close} />}
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        {!isOver && (
          <Section title="To come" says="Skip what you do not want paid.">
            <ListOf query={occurrencesQuery(order.id, "coming")} nothing="No date is to come." label="Dates to come">
              {(occurrence) => (
                <OccurrenceRow key={occurrence.date} occurrence={occurrence} currency={order.currency}>
                  {occurrence.state === "coming" && <Skip order={order} date={occurrence.date} />}
                </OccurrenceRow>
              )}
            </ListOf>
          </Section>
        )}
        <Section title="So far" says="Newest first.">
          <ListOf query={occurrencesQuery(order.id, "past")} nothing="No date has come yet." label="Dates so far">
            {(occurrence) => <OccurrenceRow key={occurrence.date} occurrence={occurrence} currency={order.currency} />}
          </ListOf>
        </Section>
      </SimpleGrid>
    </Stack>
  );
}

function OrderFacts({ order }: { order: StandingOrder }) {
  return (
    <Facts
      facts={[
        ["When", recurrenceText(order.recurrence)],
        ["First date", dayText(order.recurrence.first_date)],
        ["Next", order.next_date && `${dayText(order.next_date)}, in ${order.time_zone}`],
        ["Tried at", order.state === "active" && order.next_at && <When key="at" at={order.next_at} />],
        ["From", <AccountName key="from" id={order.source_account_id} />],
        ["To", <AccountName key="to" id={order.destination_account_id} />],
        ["Holidays", order.holidays !== "on_the_day" && HOLIDAYS[order.holidays]],
        ["Without money", `Tried again for ${order.retry_days} days, then missed`],
        ["Outages", order.after_outage !== "pay_each" && OUTAGES[order.after_outage]],
        ["Paused", order.paused_by === "staff" && "By staff: ask them why. Only they resume it."],
        ["Ended", order.ended_at && <When key="ended" at={order.ended_at} />],
      ]}
    />
  );
}

const keyed = (order: StandingOrder, key: string) => ({
  path: { order_id: order.id },
  header: { "Idempotency-Key": key },
});

function Steering({ order }: { order: StandingOrder }) {
  const pause = useKeyed(
    (_: undefined, key) => answerTo(api.POST("/v1/standing-orders/{order_id}/pause", { params: keyed(order, key) })),
    showOrder,
  );
  const resume = useKeyed(
    (_: undefined, key) => answerTo(api.POST("/v1/standing-orders/{order_id}/resume", { params: keyed(order, key) })),
    showOrder,
  );
  const cancel = useKeyed(
    (_: undefined, key) => answerTo(api.POST("/v1/standing-orders/{order_id}/cancel", { params: keyed(order, key) })),
    showOrder,
  );
  return (
    <>
      {order.state === "active" && (
        <Button size="xs" variant="default" onClick={() => pause.mutate(undefined)} loading={pause.isPending}>
          Pause
        </Button>
      )}
      {order.state === "paused" && order.paused_by !== "staff" && (
        <Button size="xs" variant="default" onClick={() => resume.mutate(undefined)} loading={resume.isPending}>
          Resume
        </Button>
      )}
      <ConfirmButton label="Cancel" confirm="Cancel it for good" act={() => cancel.mutate(undefined)} />
      <FormProblem error={pause.error ?? resume.error ?? cancel.error} />
    </>
  );
}

function Skip({ order, date }: { order: StandingOrder; date: string }) {
  const skip = useKeyed(
    (_: undefined, key) =>
      answerTo(api.POST("/v1/standing-orders/{order_id}/skip", { params: keyed(order, key), body: { date } })),
    showOrder,
  );
  return (
    <>
      <ConfirmButton
        label="Skip"
        confirm="Skip this date"
        aria-label={`Skip ${dayText(date)}`}
        act={() => skip.mutate(undefined)}
      />
      <FormProblem error={skip.error} />
    </>
  );
}

/** The order as a form. What is sent is what differs, so two people who edit it overwrite only the same field. */
function Edit({ order, close }: { order: StandingOrder; close: () => void }) {
  const accounts = useQuery(accountsQuery);
  const currency = useCurrency(order.currency);
  const start = currency && typedOf(order, currency);
  const [changed, setChanged] = useState<typeof start>();
  const typed = changed ?? start;
  const change = useMutation({
    mutationFn: (body: Schemas["StandingOrderChangeIn"]) =>
      answerTo(api.PATCH("/v1/standing-orders/{order_id}", { params: { path: { order_id: order.id } }, body })),
    onSuccess: (made) => {
      showOrder(made);
      close();
    },
  });
  return (
    <Paper withBorder p={{ base: "md", sm: "xl" }} maw={620} component="section" aria-label="Edit">
      <Stack>
        <Text size="sm" c="dimmed">
          What you change counts from the next date on. A payment that is being tried keeps its terms.
        </Text>
        <Shown query={accounts} rows={5}>
          {(found) => {
            const source = found.filter(({ id }) => id === order.source_account_id);
            if (typed === undefined || start === undefined || currency === undefined) return null;
            return (
              <OrderForm
                typed={typed}
                type={setChanged}
                accounts={source}
                isNew={false}
                refusal={change.error}
                isBusy={change.isPending}
                label="Save the changes"
                submit={(body) => {
                  const before = readTerms(start, currency);
                  const changes = "body" in before ? changesOf(before.body, body) : {};
                  if (Object.keys(changes).length === 0) close();
                  else change.mutate(changes);
                }}
              />
            );
          }}
        </Shown>
        <Button variant="subtle" onClick={close}>
          Leave it as it is
        </Button>
      </Stack>
    </Paper>
  );
}
