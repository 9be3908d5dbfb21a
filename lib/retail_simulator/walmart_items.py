"""How Walmart writes an item of the seller's catalogue (`GET /v3/items/{id}`).

Field names are those of public clients of the API; it names no brand.
"""

import hashlib
import json

from retail_simulator.gtin import gtin_of, in_catalogue, shortest
from retail_simulator.orders import Product
from retail_simulator.walmart_orders import Json


def render_item(product: Product | None) -> Json | None:
    """The answer for one product; None where the catalogue does not know it."""
    if product is None or not in_catalogue(product):
        return None
    gtin = gtin_of(product.sku)
    kind, number = shortest(gtin)
    shelf = ["Home Page", product.category] if product.category else ["Home Page"]
    item: Json = {
        "mart": "WALMART_US",
        "sku": product.sku,
        "condition": "New",
        "availability": "In_stock",
        "wpid": hashlib.sha256(product.sku.encode()).hexdigest()[:12].upper(),
        "upc": number if kind == "UPC" else None,
        "gtin": gtin,
        "productName": product.title,
        # A list as text, as the API has it.
        "shelf": json.dumps(shelf),
        "productType": product.category,
        "publishedStatus": "PUBLISHED",
        "lifecycleStatus": "ACTIVE",
    }
    return {"ItemResponse": [item], "totalItems": 1}
