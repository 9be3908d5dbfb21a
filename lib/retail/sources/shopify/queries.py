"""The queries for Shopify's GraphQL Admin API 2026-10 (official schema admin_2026-10)."""

from __future__ import annotations

from typing import Final

VERSION: Final = "2026-10"
PATH: Final = f"/admin/api/{VERSION}/graphql.json"

_MONEY: Final = "{ shopMoney { amount currencyCode } }"
# Two refunds are enough to see whether a cancelled order has only the cancellation's own.
_ORDER: Final = f"""
  id name createdAt processedAt updatedAt cancelledAt test currencyCode taxesIncluded dutiesIncluded sourceName
  edited returnStatus refunds(first: 2) {{ id createdAt }}
  totalTipReceivedSet {_MONEY}
  customer {{ id }}
  retailLocation {{ id name }}"""
_LINE: Final = f"""
  id sku title vendor quantity currentQuantity isGiftCard taxable
  product {{ id productType }}
  variant {{ id }}
  originalTotalSet {{ shopMoney {{ amount currencyCode }} presentmentMoney {{ amount currencyCode }} }}
  originalUnitPriceSet {_MONEY}
  discountedTotalSet {_MONEY}
  discountAllocations {{ allocatedAmountSet {_MONEY} }}
  taxLines {{ title rate priceSet {_MONEY} }}"""
_PAGE: Final = "pageInfo { hasNextPage endCursor }"

# With $counted it also returns how many orders the whole query matches, up to $limit.
ORDERS: Final = f"""query Orders(
  $first: Int!, $lines: Int!, $after: String, $query: String!, $counted: Boolean!, $limit: Int
) {{
  orders(first: $first, after: $after, query: $query, sortKey: UPDATED_AT) {{
    {_PAGE}
    nodes {{ {_ORDER} lineItems(first: $lines) {{ {_PAGE} nodes {{ {_LINE} }} }} }}
  }}
  ordersCount(query: $query, limit: $limit) @include(if: $counted) {{ count precision }}
}}"""

COUNT: Final = """query Count($query: String!) {
  ordersCount(query: $query, limit: null) { count precision }
}"""

ORDER: Final = f"""query Order($order: ID!, $lines: Int!) {{
  order(id: $order) {{ {_ORDER} lineItems(first: $lines) {{ {_PAGE} nodes {{ {_LINE} }} }} }}
}}"""

MORE_LINES: Final = f"""query MoreLines($order: ID!, $lines: Int!, $after: String) {{
  order(id: $order) {{ id lineItems(first: $lines, after: $after) {{ {_PAGE} nodes {{ {_LINE} }} }} }}
}}"""

_SALES: Final = f"""{{
  {_PAGE}
  nodes {{
    id actionType lineType quantity
    totalAmount {_MONEY} totalTaxAmount {_MONEY} totalDiscountAmountBeforeTaxes {_MONEY}
    ... on ProductSale {{ lineItem {{ id }} }}
    ... on GiftCardSale {{ lineItem {{ id }} }}
    ... on TipSale {{ lineItem {{ id }} }}
  }}
}}"""
# An agreement cannot be queried by its id: it is the one after the cursor of the previous agreement.
LEDGER: Final = f"""query Ledger($order: ID!, $agreements: Int!, $after: String, $sales: Int!, $afterSale: String) {{
  order(id: $order) {{
    id updatedAt
    agreements(first: $agreements, after: $after) {{
      {_PAGE}
      edges {{ cursor node {{ id happenedAt reason sales(first: $sales, after: $afterSale) {_SALES} }} }}
    }}
  }}
}}"""

SCOPES: Final = "query Scopes { currentAppInstallation { accessScopes { handle } } }"

# The result of a bulk operation has no pages, so the query asks for none.
BULK_ORDERS: Final = f"""query BulkOrders {{
  orders(query: "%s") {{
    edges {{ node {{ {_ORDER} lineItems {{ edges {{ node {{ {_LINE} }} }} }} }} }}
  }}
}}"""
# Only with groupObjects do the lines follow their order; its default changed to false in 2025-10.
RUN_BULK: Final = """mutation RunBulk($query: String!) {
  bulkOperationRunQuery(query: $query, groupObjects: true) {
    bulkOperation { id status }
    userErrors { code field message }
  }
}"""
BULK: Final = """query Bulk($id: ID!) {
  bulkOperation(id: $id) { id status errorCode rootObjectCount objectCount url }
}"""
