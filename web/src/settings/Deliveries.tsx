import { Badge, Group, Stack, Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { api, type Schemas } from "../api/client";
import { answerTo } from "../api/problem";
import { MoreRows } from "../ui/MoreRows";
import { Nothing, Shown } from "../ui/Shown";
import { When } from "../ui/When";

type Delivery = Schemas["DeliveryOut"];

const STATES: Record<Delivery["state"], [string, string]> = {
  pending: ["Not accepted yet", "yellow"],
  delivered: ["Accepted", "green"],
  dead: ["Given up", "red"],
};

const POLL_MS = 3_000;

/** The events that an endpoint got, and what it answered to each attempt. */
export function Deliveries({ endpointId }: { endpointId: string }) {
  const pages = useInfiniteQuery({
    queryKey: ["deliveries", endpointId],
    queryFn: ({ pageParam }) =>
      answerTo(
        api.GET("/v1/webhook-endpoints/{endpoint_id}/deliveries", {
          params: { path: { endpoint_id: endpointId }, query: { limit: 10, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    refetchInterval: ({ state }) =>
      state.data?.pages[0]?.items.some((delivery) => delivery.state === "pending") ? POLL_MS : false,
  });
  return (
    <Shown query={pages}>
      {(found) => {
        const deliveries = found.pages.flatMap((page) => page.items);
        if (deliveries.length === 0) return <Nothing says="Nothing was sent yet." />;
        return (
          <Stack gap="sm">
            {deliveries.map((delivery) => (
              <DeliveryRow key={delivery.event_id} delivery={delivery} />
            ))}
            <MoreRows pages={pages} />
          </Stack>
        );
      }}
    </Shown>
  );
}

function DeliveryRow({ delivery }: { delivery: Delivery }) {
  const [label, color] = STATES[delivery.state];
  return (
    <details>
      <summary>
        <Group component="span" gap="sm" display="inline-flex">
          <Text span className="code" size="sm">
            {delivery.type}
          </Text>
          <When at={delivery.created_at} exact size="sm" c="dimmed" />
          <Badge component="span" variant="light" color={color}>
            {label}
          </Badge>
        </Group>
      </summary>
      <Stack gap={4} pl="lg" py="xs">
        {delivery.attempts.map((attempt) => (
          <Text key={attempt.number} size="sm">
            {attempt.number}. <When at={attempt.attempted_at} exact size="sm" />:{" "}
            {attempt.status === null ? attempt.error : `status ${attempt.status}`}, {attempt.milliseconds} ms
            {attempt.response && <span className="code"> · {attempt.response.slice(0, 200)}</span>}
          </Text>
        ))}
        {delivery.attempts.length === 0 && <Text size="sm">No attempt was made yet.</Text>}
        {delivery.next_attempt_at && (
          <Text size="sm">
            Next attempt: <When at={delivery.next_attempt_at} exact size="sm" />
          </Text>
        )}
      </Stack>
    </details>
  );
}
