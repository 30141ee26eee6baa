import { Alert, Button, Code, Group, PasswordInput, Stack, Text, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../api/client";
import { answerTo } from "../api/problem";
import { CopyText } from "../ui/CopyText";
import { FormProblem } from "../ui/FormProblem";
import { Section } from "../ui/Section";

/** An authenticator app beside the password: added, with its recovery codes shown once, or removed. */
export function SecondFactor() {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const begin = useMutation({
    mutationFn: () => answerTo(api.POST("/v1/auth/second-factor", { body: { password } })),
    onSuccess: () => setPassword(""),
  });
  const confirm = useMutation({
    mutationFn: () =>
      answerTo(api.POST("/v1/auth/second-factor/confirm", { body: { second_factor: code.replace(/\s/g, "") } })),
    onSuccess: () => setCode(""),
  });
  const remove = useMutation({
    mutationFn: () =>
      answerTo(api.POST("/v1/auth/second-factor/remove", { body: { second_factor: code.replace(/\s/g, "") } })),
    onSuccess: () => setCode(""),
  });
  return (
    <Section title="Second factor" says="With an authenticator app, nobody signs in with your password alone.">
      <Stack maw={420}>
        {confirm.data && (
          <Alert color="green" title="Keep these recovery codes" role="status">
            <Text size="sm">They are shown once. Each of them replaces the app once.</Text>
            <Code block mt="xs">
              {confirm.data.recovery_codes.join("\n")}
            </Code>
          </Alert>
        )}
        {begin.data && !confirm.data && (
          <form
            onSubmit={(event) => {
              event.preventDefault();
              confirm.mutate();
            }}
          >
            <Stack>
              <Text size="sm">Add this secret to your app, and type the code that it shows.</Text>
              <CopyText text={begin.data.secret} label="secret" />
              <a href={begin.data.uri}>Open it in the app of this device</a>
              <CodeInput code={code} setCode={setCode} />
              <FormProblem error={confirm.error} />
              <Button type="submit" loading={confirm.isPending}>
                Confirm
              </Button>
            </Stack>
          </form>
        )}
        {!begin.data && (
          <form
            onSubmit={(event) => {
              event.preventDefault();
              begin.mutate();
            }}
          >
            <Stack>
              <PasswordInput
                label="Password"
                autoComplete="current-password"
                required
                value={password}
                onChange={(event) => setPassword(event.currentTarget.value)}
              />
              <FormProblem error={begin.error} />
              <Button type="submit" variant="default" loading={begin.isPending}>
                Add an authenticator app
              </Button>
            </Stack>
          </form>
        )}
        {!begin.data && (
          <details>
            <summary>Remove the second factor</summary>
            <form
              onSubmit={(event) => {
                event.preventDefault();
                remove.mutate();
              }}
            >
              <Group align="flex-end" mt="sm">
                <CodeInput code={code} setCode={setCode} />
                <Button type="submit" variant="default" loading={remove.isPending}>
                  Remove it
                </Button>
              </Group>
              <FormProblem error={remove.error} />
              {remove.isSuccess && <Text role="status">It is removed.</Text>}
            </form>
          </details>
        )}
      </Stack>
    </Section>
  );
}

function CodeInput({ code, setCode }: { code: string; setCode: (code: string) => void }) {
  return (
    <TextInput
      label="Code"
      autoComplete="one-time-code"
      required
      value={code}
      onChange={(event) => setCode(event.currentTarget.value)}
    />
  );
}
