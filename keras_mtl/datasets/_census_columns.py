"""The table columns of Census-Income (KDD), in the order of the published files."""

NUMBERS = {
    "age": 1,
    "wage_per_hour": 1,
    "capital_gains": 1,
    "capital_losses": 1,
    "dividends": 1,
    "instance_weight": 100,
    "employer_size": 1,
    "weeks_worked": 1,
}
"""The continuous table columns, and the factors that make their numbers whole."""

TABLE_COLUMNS = (
    "age",
    "class_of_worker",
    "industry_code",
    "occupation_code",
    "education",
    "wage_per_hour",
    "enrolled_in_education",
    "marital_status",
    "major_industry",
    "major_occupation",
    "race",
    "hispanic_origin",
    "sex",
    "labor_union_member",
    "reason_for_unemployment",
    "employment_status",
    "capital_gains",
    "capital_losses",
    "dividends",
    "tax_filer_status",
    "region_of_previous_residence",
    "state_of_previous_residence",
    "detailed_household_status",
    "household_summary",
    "instance_weight",
    "migration_msa",
    "migration_region",
    "migration_within_region",
    "lived_here_one_year_ago",
    "migration_from_sunbelt",
    "employer_size",
    "parents_present",
    "father_birth_country",
    "mother_birth_country",
    "birth_country",
    "citizenship",
    "self_employed",
    "veterans_questionnaire",
    "veterans_benefits",
    "weeks_worked",
    "year",
    "income",
)

WITHHELD = ("education", "marital_status", "instance_weight", "income")
"""Table columns that are not inputs: three make the labels, one is the weight of the sample."""

INPUTS = tuple(name for name in TABLE_COLUMNS if name not in WITHHELD)
