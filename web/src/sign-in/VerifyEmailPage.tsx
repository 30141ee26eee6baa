import { Alert } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useEffect } from "react";
import { cache } from "../api/cache";
import { api } from "../api/client";
import { answerTo } from "../api/problem";
import { ButtonLink } from "../ui/ButtonLink";
import { FormProblem } from "../ui/FormProblem";
import { PageTitle } from "../ui/PageTitle";
import { Nothing } from "../ui/Shown";
import { useMailedCode } from "./useMailedCode";

/** Where the link of the first mail leads. */
export function VerifyEmailPage() {
  const code = useMailedCode();
  const { mutate, error, isSuccess } = useMutation({
    mutationFn: (mailed: string) => answerTo(api.POST("/v1/auth/email-verification", { body: { code: mailed } })),
    onSuccess: () => cache.invalidateQueries({ queryKey: ["me"] }),
  });
  useEffect(() => {
    if (code !== null) mutate(code);
  }, [code, mutate]);
  return (
    <>
      <PageTitle title="Your e-mail address" />
      <FormProblem error={error} />
      {code === null && <Nothing says="Open the link in the mail that you got." />}
      {isSuccess && (
        <Alert color="green" role="status" title="Your address is verified">
          <ButtonLink to="/dashboard" mt="sm">
            To the dashboard
          </ButtonLink>
        </Alert>
      )}
    </>
  );
}
