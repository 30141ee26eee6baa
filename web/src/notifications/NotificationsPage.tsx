import { Badge, Button, Group, Paper, Stack, Text } from "@mantine/core";
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { cache } from "../api/cache";
import { api } from "../api/client";
import { answerTo } from "../api/problem";
import { TextLink } from "../ui/ButtonLink";
import { FormProblem } from "../ui/FormProblem";
import { MoreRows } from "../ui/MoreRows";
import { PageTitle } from "../ui/PageTitle";
import { Nothing, Shown } from "../ui/Shown";
import { When } from "../ui/When";
import type { Notification } from "./queries";

export function NotificationsPage() {
  const pages = useInfiniteQuery({
    queryKey: ["notifications", "all"],
    queryFn: ({ pageParam }) =>
      answerTo(api.GET("/v1/notifications", { params: { query: { limit: 30, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
  const read = useMutation({
    mutationFn: (through: string) => answerTo(api.POST("/v1/notifications/read", { body: { through } })),
    onSuccess: () => cache.invalidateQueries({ queryKey: ["notifications"] }),
  });
  const newest = pages.data?.pages[0];
  return (
    <>
      <PageTitle title="Notifications" says="What happened to your money, your accounts and your disputes.">
        {newest !== undefined && newest.unread > 0 && newest.items[0] && (
          <Button
            variant="default"
            loading={read.isPending}
            onClick={() => newest.items[0] && read.mutate(newest.items[0].id)}
          >
            Mark all as read
          </Button>
        )}
      </PageTitle>
      <FormProblem error={read.error} />
      <Shown query={pages} rows={6}>
        {(found) => {
          const items = found.pages.flatMap((page) => page.items);
          if (items.length === 0) return <Nothing says="Nothing has happened yet." />;
          return (
            <Stack>
              <Paper withBorder px="lg" py="sm" component="ul" className="list">
                {items.map((item) => (
                  <NotificationRow key={item.id} item={item} />
                ))}
              </Paper>
              <MoreRows pages={pages} />
            </Stack>
          );
        }}
      </Shown>
    </>
  );
}

export function NotificationRow({ item }: { item: Notification }) {
  return (
    <Group component="li" justify="space-between" gap="sm" wrap="nowrap" align="flex-start" py={6}>
      <Stack gap={2}>
        <Text fw={item.read_at ? 400 : 600} style={{ overflowWrap: "anywhere" }}>
          {item.body}
        </Text>
        <Group gap="sm">
          <When at={item.created_at} size="sm" c="dimmed" />
          {item.transfer_id && (
            <TextLink to="/transactions/$transferId" params={{ transferId: item.transfer_id }} size="sm">
              Details<span className="for-readers"> of this transfer</span>
            </TextLink>
          )}
        </Group>
      </Stack>
      {!item.read_at && (
        <Badge variant="light" style={{ flexShrink: 0 }}>
          New
        </Badge>
      )}
    </Group>
  );
}
