import { Alert, Button, PasswordInput, Stack, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../api/client";
import { answerTo, fieldErrors } from "../api/problem";
import { ButtonLink } from "../ui/ButtonLink";
import { FormProblem } from "../ui/FormProblem";
import { EntryCard } from "./EntryCard";
import { useMailedCode } from "./useMailedCode";

/** With the code of a mail: another password. Without one: the mail. */
export function ResetPasswordPage() {
  const code = useMailedCode();
  return code === null ? <AskForMail /> : <SetPassword code={code} />;
}

function AskForMail() {
  const [email, setEmail] = useState("");
  const ask = useMutation({
    mutationFn: () => answerTo(api.POST("/v1/auth/password-reset", { body: { email } })),
  });
  return (
    <EntryCard title="Another password" says="You get a mail with a link, which works for an hour.">
      {ask.isSuccess ? (
        <Alert color="green" role="status">
          If somebody is registered with {email}, a mail is on its way.
        </Alert>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            ask.mutate();
          }}
        >
          <Stack>
            <TextInput
              label="E-mail address"
              type="email"
              autoComplete="username"
              required
              value={email}
              onChange={(event) => setEmail(event.currentTarget.value)}
            />
            <FormProblem error={ask.error} />
            <Button type="submit" loading={ask.isPending}>
              Send the mail
            </Button>
          </Stack>
        </form>
      )}
      <ButtonLink to="/login" variant="subtle" mt="md" fullWidth>
        Back to the sign-in
      </ButtonLink>
    </EntryCard>
  );
}

function SetPassword({ code }: { code: string }) {
  const form = useForm({ initialValues: { new_password: "" } });
  const set = useMutation({
    mutationFn: (typed: typeof form.values) =>
      answerTo(api.POST("/v1/auth/password-reset/confirm", { body: { reset_code: code, ...typed } })),
    onError: (error) => form.setErrors(fieldErrors(error, ["new_password"])),
  });
  return (
    <EntryCard title="Another password" says="All your sessions end, so sign in again afterwards.">
      {set.isSuccess ? (
        <Alert color="green" role="status" title="The password is changed">
          <ButtonLink to="/login" mt="sm">
            Sign in
          </ButtonLink>
        </Alert>
      ) : (
        <form onSubmit={form.onSubmit((typed) => set.mutate(typed))} noValidate>
          <Stack>
            <PasswordInput
              label="New password"
              autoComplete="new-password"
              required
              {...form.getInputProps("new_password")}
            />
            <FormProblem error={set.error} shown={Object.keys(form.errors)} />
            <Button type="submit" loading={set.isPending}>
              Set the password
            </Button>
          </Stack>
        </form>
      )}
    </EntryCard>
  );
}
