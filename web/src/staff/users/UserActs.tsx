import { Alert, NativeSelect, Text } from "@mantine/core";
import { useState } from "react";
import { api, type Schemas } from "../../api/client";
import { answerTo } from "../../api/problem";
import { useMe } from "../../customers/queries";
import { CopyText } from "../../ui/CopyText";
import { When } from "../../ui/When";
import { ActButton } from "../ActButton";
import { isStaff } from "../permissions";
import { asOptions } from "../search";
import { useMay } from "../useMay";
import { ROLES } from "./filters";
import { type CustomerFile, USERS } from "./queries";

type Role = Schemas["Role"];

/** What staff can do with a person. Nobody does it with themselves. */
export function UserActs({ user }: { user: CustomerFile }) {
  const may = useMay();
  const me = useMe();
  if (me?.id === user.id)
    return (
      <Text size="sm" c="dimmed">
        This is you: somebody else of the staff changes your rights.
      </Text>
    );
  // Operators disable no staff.
  const mayDisable = may("disable_customer") && (me?.role === "admin" || !isStaff(user.role));
  return (
    <>
      {mayDisable && <Access user={user} />}
      {may("grant_role") && <RoleButton user={user} />}
      {may("verify_email") && !user.email_verified && <EmailCode user={user} />}
      {may("remove_second_factor") && <RemoveFactor user={user} />}
    </>
  );
}

const keyed = (user: CustomerFile, key: string) => ({
  path: { customer_id: user.id },
  header: { "Idempotency-Key": key },
});

function Access({ user }: { user: CustomerFile }) {
  if (user.disabled_at)
    return (
      <ActButton
        label="Enable"
        isFirst
        title={`Let ${user.full_name} sign in again?`}
        says="Their former sessions stay ended."
        send={(reason, key) =>
          answerTo(api.POST("/v1/admin/customers/{customer_id}/enable", { params: keyed(user, key), body: { reason } }))
        }
        effect={({ full_name }) => `${full_name} may sign in again.`}
        reads={USERS}
      />
    );
  return (
    <ActButton
      label="Disable"
      title={`Keep ${user.full_name} from signing in?`}
      says="Their sessions and API keys stop working at once. Their accounts stay as they are: freeze these, too, if no money may move."
      isHard
      send={(reason, key) =>
        answerTo(api.POST("/v1/admin/customers/{customer_id}/disable", { params: keyed(user, key), body: { reason } }))
      }
      effect={({ full_name }) => `${full_name} cannot sign in any more.`}
      reads={USERS}
    />
  );
}

function RoleButton({ user }: { user: CustomerFile }) {
  const [role, setRole] = useState<Role>(user.role);
  return (
    <ActButton
      label="Change role"
      title={`Which role has ${user.full_name}?`}
      says="More rights need two admins: the first one requests, and the role applies when another one does the same. One admin takes rights away."
      confirm="Set the role"
      objection={role === user.role ? "This is their role already." : null}
      send={(reason, key) =>
        answerTo(
          api.POST("/v1/admin/customers/{customer_id}/role", { params: keyed(user, key), body: { reason, role } }),
        )
      }
      effect={(changed) =>
        changed.role === role
          ? `${changed.full_name} is ${ROLES[role].toLowerCase()} now.`
          : "Requested. The role applies when another admin sets the same."
      }
      reads={USERS}
    >
      <NativeSelect
        label="Role"
        data={asOptions(ROLES)}
        value={role}
        onChange={(event) => setRole(event.currentTarget.value as Role)}
      />
    </ActButton>
  );
}

function EmailCode({ user }: { user: CustomerFile }) {
  const [issued, setIssued] = useState<Schemas["EmailCodeOut"] | null>(null);
  return (
    <>
      <ActButton
        label="Code for the address"
        title="Get a code that verifies the address?"
        says="Send it by mail to the address. Who issues a code is neither of the two admins that give the person a role."
        confirm="Get the code"
        send={(reason) =>
          answerTo(
            api.POST("/v1/admin/customers/{customer_id}/email-verification", {
              params: { path: { customer_id: user.id } },
              body: { reason },
            }),
          )
        }
        effect={() => "A code is issued. Send it to the address."}
        reads={USERS}
        onDone={setIssued}
      />
      {issued && (
        <Alert color="green" title="Send this code to the address" role="status">
          <CopyText text={issued.code} label="code" />
          <Text size="sm" mt="xs">
            It works until <When at={issued.expires_at} exact size="sm" />, for the person themselves.
          </Text>
        </Alert>
      )}
    </>
  );
}

function RemoveFactor({ user }: { user: CustomerFile }) {
  return (
    <ActButton
      label="Remove second factor"
      title="Remove the second factor?"
      says="They sign in with the password alone, and their sessions end. Make sure that it is them who ask."
      confirm="Remove it"
      isHard
      send={(reason, key) =>
        answerTo(
          api.POST("/v1/admin/customers/{customer_id}/second-factor/remove", {
            params: keyed(user, key),
            body: { reason },
          }),
        )
      }
      effect={() => "The second factor is removed, if there was one."}
      reads={USERS}
    />
  );
}
