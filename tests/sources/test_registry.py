from datetime import date, timedelta

import pytest

from retail.config.secrets import Secrets
from retail.errors import ConfigurationError
from retail.sources.registry import open_service, problems, windows_of


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


def test_a_day_looks_back_unless_the_day_before_is_of_the_same_run(settings_of):
    settings = settings_of("https://api.example.com")
    units = [("retailer_1", date(2017, 1, day)) for day in (5, 6, 9)] + [("retailer_3", date(2017, 1, 6))]

    found = windows_of(settings, units)

    overlap = {(retailer, day.day): window.overlap for (retailer, day), window in found.items()}
    assert overlap == {
        ("retailer_1", 5): timedelta(hours=48),
        ("retailer_1", 6): timedelta(minutes=settings.extract.overlap_minutes),
        ("retailer_1", 9): timedelta(hours=48),
        ("retailer_3", 6): timedelta(hours=24),
    }


def test_a_configured_look_back_wins_and_ends_at_the_start_date(settings_of):
    settings = settings_of("https://api.example.com")
    retailer = settings.retailers["retailer_1"].model_copy(update={"look_back_hours": 72.0})
    settings = settings.model_copy(update={"retailers": {"retailer_1": retailer}})

    found = windows_of(settings, [("retailer_1", date(2017, 1, 3)), ("retailer_1", date(2017, 1, 9))])

    assert [window.overlap for _, window in sorted(found.items())] == [timedelta(days=2), timedelta(days=3)]


@pytest.mark.parametrize(("retailer_id", "hours"), [("retailer_1", 48), ("retailer_2", 6)])
def test_a_shorter_look_back_is_not_for_transactions_that_are_listed_nowhere_else(
    settings_of, retailer_id, hours
):
    settings = settings_of("https://api.example.com")
    retailer = settings.retailers[retailer_id].model_copy(update={"look_back_hours": 6.0})
    settings = settings.model_copy(update={"retailers": {retailer_id: retailer}})

    [window] = windows_of(settings, [(retailer_id, date(2017, 1, 9))]).values()

    assert window.overlap == timedelta(hours=hours)
