"""Steps 3 and 5: staged rows, five dimensions and one fact, as Delta tables."""

from retail.star.tables import dim_customer, dim_date, dim_product, dim_retailer, dim_store, fact_sales

DIMENSIONS = (dim_date.TABLE, dim_product.TABLE, dim_customer.TABLE, dim_store.TABLE, dim_retailer.TABLE)
TABLES = (*DIMENSIONS, fact_sales.TABLE)
