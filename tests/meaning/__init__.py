"""What a data model means, stated a second time.

Generated code and its tests both follow from `data_model/resolve`: if that is wrong, they agree
with each other. Here, `expectations.py` reads the model as its author wrote it and says which
fields, permissions, filters, indexes and constraints follow, without the code of the template;
`observe.py` runs in a generated project and reports what there is: in its OpenAPI document, in its
responses, in the statements that reach its database and in the catalog of that database.
"""
