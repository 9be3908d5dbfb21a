import pytest

from retail.config.secrets import Secrets
from retail.errors import ConfigurationError
from retail.sources.registry import open_service, problems


def test_a_right_configuration_has_no_problems(settings_of, secrets):
    settings = settings_of("https://api.example.com")
    assert problems(settings, secrets, settings.retailers) == []


def test_every_problem_is_named_at_once(settings_of):
    settings = settings_of(
        "https://api.example.com",
        options={
            "retailer_1": {"marketplace_ids": [], "colour": "red", "token_url": "http://elsewhere.example"},
            "retailer_2": {"charge_basis": "pallet"},
        },
    )
    settings.retailers["retailer_3"] = settings.retailers["retailer_3"].model_copy(update={"service": "ebay"})

    found = "\n".join(problems(settings, Secrets({"RETAIL_RETAILER_1_CLIENT_ID": "x"}), settings.retailers))

    assert "retailers.retailer_1.options.marketplace_ids: " in found
    assert "retailers.retailer_1.options.colour: Extra inputs are not permitted" in found
    assert "retailers.retailer_1.options.token_url: Value error, must begin with https://" in found
    assert "retailers.retailer_2.options.charge_basis: " in found
    assert "retailers.retailer_3.service: 'ebay' is not one of amazon, shopify, walmart" in found
    assert "RETAIL_RETAILER_1_CLIENT_SECRET" in found
    assert "RETAIL_RETAILER_2_CLIENT_ID" in found
    assert "RETAIL_CUSTOMER_PEPPER" in found
    assert "RETAIL_RETAILER_1_CLIENT_ID" not in found


def test_a_secret_whose_file_cannot_be_read_is_a_problem_beside_the_others(settings_of):
    secrets = Secrets({"RETAIL_CUSTOMER_PEPPER_FILE": "/nowhere"})
    found = problems(settings_of("https://a.example"), secrets, ["retailer_3"])

    assert any("RETAIL_CUSTOMER_PEPPER_FILE: /nowhere" in each for each in found)
    assert any("RETAIL_RETAILER_3_CLIENT_SECRET" in each for each in found)
    assert not any("RETAILER_1" in each for each in found)


def test_a_service_is_not_opened_with_problems_and_those_of_others_are_not_its_own(settings_of, secrets):
    settings = settings_of("https://a.example", options={"retailer_2": {"charge_basis": "pallet"}})

    with pytest.raises(ConfigurationError, match=r"retailers\.retailer_2\.options\.charge_basis") as caught:
        open_service("retailer_2", settings, secrets)
    assert len(caught.value.problems) == 1
    open_service("retailer_1", settings, secrets)


def test_an_unknown_retailer_is_named(settings_of, secrets):
    with pytest.raises(ConfigurationError, match=r"retailers\.retailer_9 is not configured"):
        open_service("retailer_9", settings_of("https://a.example"), secrets)


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1.evil.example", "http://localhost@evil.example", "http://evil.example", "ftp://x"],
)
def test_secrets_are_sent_in_clear_to_this_machine_only(settings_of, address):
    with pytest.raises(ValueError, match="must be"):
        settings_of(address)
