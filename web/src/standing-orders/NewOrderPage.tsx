import { Paper, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { accountsQuery } from "../accounts/queries";
import type { Schemas } from "../api/client";
import { api } from "../api/client";
import { answerTo } from "../api/problem";
import { useOnce } from "../api/useOnce";
import { TextLink } from "../ui/ButtonLink";
import { NotKnown } from "../ui/NotKnown";
import { PageTitle } from "../ui/PageTitle";
import { Nothing, Shown } from "../ui/Shown";
import { OrderForm } from "./OrderForm";
import { showOrder } from "./queries";
import { BLANK_ORDER, type TypedOrder } from "./terms";

type Asked = { typed: TypedOrder; body: Schemas["StandingOrderIn"] | null };

export function NewOrderPage() {
  const accounts = useQuery(accountsQuery);
  const navigate = useNavigate();
  const order = useOnce<Asked, Schemas["StandingOrderOut"]>({
    name: "standing-order",
    blank: { typed: BLANK_ORDER, body: null },
    send: ({ body }, key) =>
      answerTo(
        api.POST("/v1/standing-orders", {
          params: { header: { "Idempotency-Key": key } },
          body: body as Schemas["StandingOrderIn"],
        }),
      ),
    onKnown: (made) => {
      showOrder(made);
      navigate({ to: "/standing-orders/$orderId", params: { orderId: made.id } });
    },
  });
  return (
    <>
      <TextLink to="/standing-orders" size="sm">
        All standing orders
      </TextLink>
      <PageTitle title="New standing order" says="Say once what is to be paid, to whom and when. It is made once." />
      <Paper withBorder p={{ base: "md", sm: "xl" }} radius="lg" maw={620}>
        <Stack>
          {order.isSent && <NotKnown isMissing={order.isMissing} />}
          <Shown query={accounts} rows={6}>
            {(found) => {
              const open = found.filter(({ status }) => status !== "closed");
              if (open.length === 0) return <Nothing says="You have no open account to pay from." />;
              return (
                <OrderForm
                  typed={order.typed.typed}
                  type={(typed) => order.type({ typed, body: null })}
                  accounts={open}
                  isNew
                  refusal={order.refusal}
                  isBusy={order.isSent}
                  label="Make the standing order"
                  submit={(body) => order.submit({ ...order.typed, body })}
                />
              );
            }}
          </Shown>
          <Text size="xs" c="dimmed">
            Key of this order: <span className="code">{order.key}</span>
          </Text>
        </Stack>
      </Paper>
    </>
  );
}
