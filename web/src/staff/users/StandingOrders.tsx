import { Group, Paper, Stack, Text } from "@mantine/core";
import { api } from "../../api/client";
import { answerTo } from "../../api/problem";
import { HowMuch, OrderState } from "../../standing-orders/OrderParts";
import { recurrenceText, type StandingOrder } from "../../standing-orders/terms";
import { ListOf } from "../../ui/ListOf";
import { listQuery, PAGE } from "../../ui/listQuery";
import { Section } from "../../ui/Section";
import { When } from "../../ui/When";
import { ActButton } from "../ActButton";
import { AccountLink } from "../Names";

const ordersOf = (ownerId: string) =>
  listQuery(["orders-of", ownerId], (cursor) =>
    answerTo(api.GET("/v1/admin/standing-orders", { params: { query: { owner_id: ownerId, limit: PAGE, cursor } } })),
  );

/** The standing orders of a customer, and what staff can do with them. */
export function StandingOrders({ ownerId }: { ownerId: string }) {
  return (
    <Section title="Standing orders" says="Of this customer. Newest first.">
      <ListOf query={ordersOf(ownerId)} nothing="No standing orders." label="Standing orders">
        {(order) => <OrderRow key={order.id} order={order} />}
      </ListOf>
    </Section>
  );
}

function OrderRow({ order }: { order: StandingOrder }) {
  const isOver = order.state === "completed" || order.state === "cancelled";
  return (
    <Paper withBorder p="sm" component="li">
      <Group justify="space-between" gap="sm" align="flex-start">
        <Stack gap={2}>
          <Text fw={550} component="div">
            <HowMuch order={order} />, {recurrenceText(order.recurrence).toLowerCase()}
            {order.note && `: “${order.note}”`}
          </Text>
          <Text size="sm" component="div">
            <AccountLink id={order.source_account_id} /> → <AccountLink id={order.destination_account_id} />
          </Text>
          {order.next_at && (
            <Text size="sm" c="dimmed">
              next <When at={order.next_at} size="sm" exact />
            </Text>
          )}
        </Stack>
        <Group gap="xs">
          <OrderState order={order} />
          {!isOver && <OrderActs order={order} />}
        </Group>
      </Group>
    </Paper>
  );
}

const READS = ["orders-of"];

const keyed = (order: StandingOrder, key: string) => ({
  path: { order_id: order.id },
  header: { "Idempotency-Key": key },
});

function OrderActs({ order }: { order: StandingOrder }) {
  return (
    <>
      {order.state === "paused" ? (
        <ActButton
          label="Resume"
          isFirst
          title="Resume this standing order?"
          says="It pays its next date. What came meanwhile is skipped."
          confirm="Resume it"
          send={(reason, key) =>
            answerTo(
              api.POST("/v1/admin/standing-orders/{order_id}/resume", { params: keyed(order, key), body: { reason } }),
            )
          }
          effect={() => "The standing order pays again."}
          reads={READS}
        />
      ) : (
        <ActButton
          label="Pause"
          title="Pause this standing order?"
          says="It pays nothing until staff resume it. Its owner cannot."
          confirm="Pause it"
          send={(reason, key) =>
            answerTo(
              api.POST("/v1/admin/standing-orders/{order_id}/pause", { params: keyed(order, key), body: { reason } }),
            )
          }
          effect={() => "The standing order pays nothing now."}
          reads={READS}
        />
      )}
      <ActButton
        label="Cancel"
        title="Cancel this standing order?"
        says="For good. A date whose transfer is under way stays so."
        confirm="Cancel it for good"
        isHard
        send={(reason, key) =>
          answerTo(
            api.POST("/v1/admin/standing-orders/{order_id}/cancel", { params: keyed(order, key), body: { reason } }),
          )
        }
        effect={() => "The standing order has ended."}
        reads={READS}
      />
    </>
  );
}
