-- `retail explain` asks for what restated one transaction.
CREATE INDEX IF NOT EXISTS restated_transaction_named ON marts.restated_transaction (transaction_id, retailer_id);
