import { Group, Paper, Stack, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { ButtonLink } from "../ui/ButtonLink";
import { ListOf } from "../ui/ListOf";
import { PageTitle } from "../ui/PageTitle";
import { HowMuch, OrderState } from "./OrderParts";
import { ordersQuery } from "./queries";
import { dayText, recurrenceText, type StandingOrder } from "./terms";

export function OrdersPage() {
  return (
    <>
      <PageTitle
        title="Standing orders"
        says="Payments that are made by themselves: once at a date, or again and again."
      >
        <ButtonLink to="/standing-orders/new">New standing order</ButtonLink>
      </PageTitle>
      <ListOf
        query={ordersQuery}
        nothing="You have no standing orders. Make one for your rent, or for what is left at the end of the month."
        label="Standing orders"
      >
        {(order) => <OrderRow key={order.id} order={order} />}
      </ListOf>
    </>
  );
}

function OrderRow({ order }: { order: StandingOrder }) {
  return (
    <Paper withBorder component="li">
      <Link to="/standing-orders/$orderId" params={{ orderId: order.id }} className="row inset">
        <Group justify="space-between" wrap="nowrap" gap="sm">
          <Stack gap={2} miw={0}>
            <Text fw={550} truncate>
              {order.note || recurrenceText(order.recurrence)}
            </Text>
            <Text size="sm" c="dimmed">
              {order.note && `${recurrenceText(order.recurrence)} · `}
              {order.state === "active" && order.next_date ? `next on ${dayText(order.next_date)}` : "pays nothing now"}
            </Text>
          </Stack>
          <Stack gap={2} align="flex-end" style={{ flexShrink: 0 }}>
            <HowMuch order={order} />
            <OrderState order={order} />
          </Stack>
        </Group>
      </Link>
    </Paper>
  );
}
