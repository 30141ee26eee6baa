import { Badge, Button, Group, PasswordInput, Stack, Text } from "@mantine/core";
import { useForm } from "@mantine/form";
import { notifications } from "@mantine/notifications";
import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { cache } from "../api/cache";
import { api, type Schemas } from "../api/client";
import { answerTo, fieldErrors, Problem } from "../api/problem";
import { signedOut } from "../api/session";
import { ConfirmButton } from "../ui/ConfirmButton";
import { FormProblem } from "../ui/FormProblem";
import { MoreRows } from "../ui/MoreRows";
import { Section } from "../ui/Section";
import { Shown } from "../ui/Shown";
import { When } from "../ui/When";
import { SecondFactor } from "./SecondFactor";

export function Security() {
  return (
    <Stack>
      <Password />
      <SecondFactor />
      <Sessions />
    </Stack>
  );
}

function Password() {
  const form = useForm({ initialValues: { current_password: "", new_password: "" } });
  const change = useMutation({
    mutationFn: (body: typeof form.values) => answerTo(api.POST("/v1/auth/password", { body })),
    onSuccess: () => {
      form.reset();
      notifications.show({ message: "The password is changed. All your other sessions have ended." });
      cache.invalidateQueries({ queryKey: ["sessions"] });
    },
    onError: (error) =>
      form.setErrors(
        error instanceof Problem && error.code === "password_wrong"
          ? { current_password: error.message }
          : fieldErrors(error, ["current_password", "new_password"]),
      ),
  });
  return (
    <Section title="Password" says="A new one ends all your other sessions.">
      <form onSubmit={form.onSubmit((typed) => change.mutate(typed))} noValidate>
        <Stack maw={420}>
          <PasswordInput
            label="Present password"
            autoComplete="current-password"
            required
            {...form.getInputProps("current_password")}
          />
          <PasswordInput
            label="New password"
            autoComplete="new-password"
            required
            {...form.getInputProps("new_password")}
          />
          {Object.keys(form.errors).length === 0 && <FormProblem error={change.error} />}
          <Button type="submit" loading={change.isPending}>
            Change the password
          </Button>
        </Stack>
      </form>
    </Section>
  );
}

function Sessions() {
  const pages = useInfiniteQuery({
    queryKey: ["sessions"],
    queryFn: ({ pageParam }) =>
      answerTo(api.GET("/v1/auth/sessions", { params: { query: { limit: 20, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.next_cursor ?? undefined,
  });
  const end = useMutation({
    mutationFn: (id: string) =>
      answerTo(api.DELETE("/v1/auth/sessions/{session_id}", { params: { path: { session_id: id } } })),
    onSuccess: () => cache.invalidateQueries({ queryKey: ["sessions"] }),
  });
  const endAll = useMutation({
    mutationFn: () => answerTo(api.DELETE("/v1/auth/sessions")),
    onSuccess: signedOut,
  });
  return (
    <Section
      title="Sessions"
      says="Where you are signed in. What you do not know, end, and change the password."
      action={<ConfirmButton label="End all" confirm="End all, also this one" act={() => endAll.mutate()} />}
    >
      <FormProblem error={end.error ?? endAll.error} />
      <Shown query={pages}>
        {(found) => (
          <Stack gap="md">
            {found.pages
              .flatMap((page) => page.items)
              .map((session) => (
                <SessionRow key={session.id} session={session} end={() => end.mutate(session.id)} />
              ))}
            <MoreRows pages={pages} />
          </Stack>
        )}
      </Shown>
    </Section>
  );
}

function SessionRow({ session, end }: { session: Schemas["SessionOut"]; end: () => void }) {
  return (
    <Group justify="space-between" gap="sm">
      <Stack gap={2} style={{ flex: 1, minWidth: 200 }}>
        <Group gap="xs">
          <Text fw={550}>{browserName(session.user_agent)}</Text>
          {session.current && <Badge variant="light">This one</Badge>}
        </Group>
        <Text size="sm" c="dimmed">
          From {session.client}, since <When at={session.started_at} size="sm" />
          {session.second_factor && ", with a second factor"}
        </Text>
      </Stack>
      {!session.current && <ConfirmButton label="End" confirm="End this session" act={end} />}
    </Group>
  );
}

/** A browser's own description is hard to read, so its name and system alone. */
function browserName(agent: string | null): string {
  if (agent === null) return "Unknown program";
  const name = ["Edg", "Firefox", "Chrome", "Safari"].find((each) => agent.includes(`${each}/`));
  const system = ["Android", "iPhone", "Windows", "Mac OS", "Linux"].find((each) => agent.includes(each));
  if (name === undefined) return agent.split(" ")[0]?.slice(0, 40) || "Unknown program";
  return `${name === "Edg" ? "Edge" : name}${system ? ` on ${system}` : ""}`;
}
