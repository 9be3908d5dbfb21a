import json
from functools import partial

from retail.config.secrets import Secret
from retail.sources.pii import AMAZON, SHOPIFY, WALMART, pseudonym, strip

PEPPER = Secret("pepper")
named = partial(pseudonym, PEPPER, "retailer_1")


def test_a_pseudonym_is_a_keyed_hash_that_case_and_blanks_do_not_change():
    once = pseudonym(PEPPER, "retailer_1", "jo@example.com")

    assert once == pseudonym(PEPPER, "retailer_1", " Jo@Example.com ")
    assert len(once) == 64
    assert int(once, 16)


def test_a_customer_has_another_pseudonym_at_another_retailer_and_under_another_pepper():
    names = {
        pseudonym(PEPPER, "retailer_1", "jo@example.com"),
        pseudonym(PEPPER, "retailer_2", "jo@example.com"),
        pseudonym(Secret("salt"), "retailer_1", "jo@example.com"),
    }

    assert len(names) == 3


def test_amazon_keeps_the_store_and_the_pseudonym_and_nothing_of_the_buyer():
    order = {
        "orderId": "1",
        "buyer": {"buyerEmail": "x1@marketplace.amazon.com", "buyerName": "Jo Doe"},
        "recipient": {"deliveryAddress": {"name": "Jo Doe", "phone": "555-0100"}},
        "payment": {"paymentExecutions": [{"cardBrand": "Visa"}]},
        "packages": [
            {
                "trackingNumber": "1Z999",
                "shipFromAddress": {
                    "name": "Store 367",
                    "addressLine1": "1 Main St",
                    "city": "Reno",
                    "stateOrRegion": "NV",
                    "postalCode": "89501",
                    "countryCode": "US",
                },
            }
        ],
        "orderItems": [
            {"packing": {"giftOption": {"giftMessage": "Happy birthday Jo", "giftWrapLevel": "1"}}}
        ],
    }

    assert strip(order, AMAZON, name=named) == {
        "orderId": "1",
        "buyer": {"buyerEmail": named("x1@marketplace.amazon.com")},
        "packages": [
            {
                "shipFromAddress": {
                    "name": "Store 367",
                    "city": "Reno",
                    "stateOrRegion": "NV",
                    "countryCode": "US",
                }
            }
        ],
        "orderItems": [{"packing": {"giftOption": {"giftWrapLevel": "1"}}}],
    }


def test_walmart_keeps_the_node_and_the_pseudonym_and_nothing_of_the_buyer():
    order = {
        "customerEmailId": "63@relay.walmart.com",
        "buyerId": "b-1",
        "shippingInfo": {"phone": "555-0100", "methodCode": "Standard", "postalAddress": {"name": "Jo Doe"}},
        "pickupPersons": [{"name": {"firstName": "Jo"}}],
        "shipNode": {"type": "SellerFulfilled", "name": "Store 433", "id": "433"},
    }

    assert strip(order, WALMART, name=named) == {
        "customerEmailId": named("63@relay.walmart.com"),
        "shippingInfo": {"methodCode": "Standard"},
        "shipNode": {"type": "SellerFulfilled", "name": "Store 433", "id": "433"},
    }


def test_walmarts_placeholder_address_is_no_customer():
    assert strip({"customerEmailId": "NoCxEmail@walmartone.com"}, WALMART, name=named) == {
        "customerEmailId": None
    }


def test_a_shopify_customer_is_the_number_in_the_gid_and_nothing_else_of_them_stays():
    order = {"customer": {"id": "gid://shopify/Customer/77", "email": "jo@example.com", "firstName": "Jo"}}

    assert strip(order, SHOPIFY, name=named) == {"customer": {"id": named("77")}}
    assert strip({"customer": None}, SHOPIFY, name=named) == {"customer": None}


def test_a_person_s_name_outside_shopify_s_customer_goes_too():
    origin = {"firstName": "Jo", "lastName": "Doe", "displayName": "Jo Doe", "city": "Reno"}

    assert strip({"origin": origin}, SHOPIFY, name=named) == {"origin": {"city": "Reno"}}


def test_an_e_mail_address_in_a_field_that_nobody_knows_gives_way_too():
    drifted = {"newField": [{"remark": "call jo.doe+x@mail.example.co.uk, please"}], "title": "Mug @ home"}

    stripped = strip(drifted, SHOPIFY, name=named)

    assert "example" not in json.dumps(stripped)
    assert stripped["newField"][0]["remark"] == "call (e-mail address removed), please"
    assert stripped["title"] == "Mug @ home"
