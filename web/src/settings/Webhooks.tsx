import { Alert, Badge, Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { cache } from "../api/cache";
import { api, type Schemas } from "../api/client";
import { answerTo, fieldErrors } from "../api/problem";
import { ConfirmButton } from "../ui/ConfirmButton";
import { CopyText } from "../ui/CopyText";
import { FormProblem } from "../ui/FormProblem";
import { MoreRows } from "../ui/MoreRows";
import { Section } from "../ui/Section";
import { Nothing, Shown } from "../ui/Shown";
import { Deliveries } from "./Deliveries";

type Endpoint = Schemas["EndpointOut"];

const COLORS = { enabled: "green", failing: "yellow", disabled: "gray" } as const;

const DAY_MS = 86_400_000;

const readAgain = () => cache.invalidateQueries({ queryKey: ["webhooks"] });

export function Webhooks() {
  return (
    <Stack>
      <NewEndpoint />
      <Endpoints />
    </Stack>
  );
}

function NewEndpoint() {
  const form = useForm({ initialValues: { url: "" } });
  const make = useMutation({
    mutationFn: (body: typeof form.values) => answerTo(api.POST("/v1/webhook-endpoints", { body })),
    onSuccess: () => {
      form.reset();
      readAgain();
    },
    onError: (error) => form.setErrors(fieldErrors(error, ["url"])),
  });
  return (
    <Section title="New webhook endpoint" says="A URL of yours that gets each of your events within a moment.">
      <form onSubmit={form.onSubmit((typed) => make.mutate(typed))} noValidate>
        <Stack maw={560}>
          <TextInput
            label="URL"
            type="url"
            placeholder="https://shop.example.com/remit"
            required
            {...form.getInputProps("url")}
          />
          <FormProblem error={make.error} shown={Object.keys(form.errors)} />
          <Button type="submit" loading={make.isPending}>
            Add the endpoint
          </Button>
        </Stack>
      </form>
      {make.data && <Secret secret={make.data.secret} />}
    </Section>
  );
}

function Secret({ secret }: { secret?: string | null }) {
  if (!secret) return null;
  return (
    <Alert color="green" title="Keep this secret" mt="md" role="status">
      <Text size="sm" mb="xs">
        It is shown once. Verify the signature of each webhook with it.
      </Text>
      <CopyText text={secret} label="secret" />
    </Alert>
  );
}

function Endpoints() {
  const pages = useInfiniteQuery({
    queryKey: ["webhooks"],
    queryFn: ({ pageParam }) =>
      answerTo(api.GET("/v1/webhook-endpoints", { params: { query: { limit: 20, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
  return (
    <Section title="Webhook endpoints">
      <Shown query={pages}>
        {(found) => {
          const endpoints = found.pages.flatMap((page) => page.items);
          if (endpoints.length === 0) return <Nothing says="You have no webhook endpoints." />;
          return (
            <Stack gap="xl">
              {endpoints.map((endpoint) => (
                <EndpointCard key={endpoint.id} endpoint={endpoint} />
              ))}
              <MoreRows pages={pages} />
            </Stack>
          );
        }}
      </Shown>
    </Section>
  );
}

function EndpointCard({ endpoint }: { endpoint: Endpoint }) {
  const [shows, setShows] = useState(false);
  const params = { path: { endpoint_id: endpoint.id } };
  const readDeliveries = () => cache.invalidateQueries({ queryKey: ["deliveries", endpoint.id] });
  const test = useMutation({
    mutationFn: () => answerTo(api.POST("/v1/webhook-endpoints/{endpoint_id}/test", { params })),
    onSuccess: () => {
      setShows(true);
      readDeliveries();
    },
  });
  const replay = useMutation({
    mutationFn: () =>
      answerTo(
        api.POST("/v1/webhook-endpoints/{endpoint_id}/replay", {
          params,
          body: { since: new Date(Date.now() - DAY_MS).toISOString() },
        }),
      ),
    onSuccess: () => {
      notifications.show({ message: "Everything of the last 24 hours is sent again." });
      readDeliveries();
    },
  });
  const rotate = useMutation({
    mutationFn: () => answerTo(api.POST("/v1/webhook-endpoints/{endpoint_id}/rotate-secret", { params })),
  });
  const set = useMutation({
    mutationFn: (state: "enabled" | "disabled") =>
      answerTo(api.PATCH("/v1/webhook-endpoints/{endpoint_id}", { params, body: { state } })),
    onSuccess: readAgain,
  });
  const remove = useMutation({
    mutationFn: () => answerTo(api.DELETE("/v1/webhook-endpoints/{endpoint_id}", { params })),
    onSuccess: readAgain,
  });
  const error = [test, replay, rotate, set, remove].find((each) => each.error)?.error;
  const isDisabled = endpoint.state === "disabled";
  return (
    <Stack gap="sm" component="article" aria-label={endpoint.url}>
      <Group gap="sm">
        <Text fw={550} className="code">
          {endpoint.url}
        </Text>
        <Badge variant="light" color={COLORS[endpoint.state]}>
          {endpoint.state}
        </Badge>
      </Group>
      <Text size="sm" c="dimmed">
        {endpoint.types.length === 0 ? "Every event that you may see" : endpoint.types.join(", ")}
      </Text>
      <Group gap="xs">
        <Button size="xs" variant="default" onClick={() => setShows(!shows)} aria-expanded={shows}>
          {shows ? "Hide what was sent" : "Show what was sent"}
        </Button>
        <Button
          size="xs"
          variant="default"
          onClick={() => test.mutate()}
          loading={test.isPending}
          disabled={isDisabled}
        >
          Send a test
        </Button>
        <ConfirmButton
          label="Replay the last 24 hours"
          confirm="Send all of it again"
          act={() => replay.mutate()}
          disabled={isDisabled}
        />
        <ConfirmButton label="New secret" confirm="Make a new secret" act={() => rotate.mutate()} />
        <Button size="xs" variant="default" onClick={() => set.mutate(isDisabled ? "enabled" : "disabled")}>
          {isDisabled ? "Enable" : "Disable"}
        </Button>
        <ConfirmButton label="Delete" confirm="Delete for good" act={() => remove.mutate()} />
      </Group>
      <FormProblem error={error} />
      {rotate.data && <Secret secret={rotate.data.secret} />}
      {shows && <Deliveries endpointId={endpoint.id} />}
    </Stack>
  );
}
